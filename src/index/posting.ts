import { Bitmap } from "./bitmap.js";

/** Above this many labels, and when they are a 256th of the range, a bitmap is smaller than a set. */
const MIN_BITMAP = 64;
const BITMAP_SHARE = 256;

/** The labels under one value: a small set while they are few, a bitmap when they are many. */
export class Posting {
  #few: Set<number> | undefined = new Set();
  #many: Bitmap | undefined;
  #size = 0;
  #range = 0;

  get size(): number {
    return this.#size;
  }

  has(label: number): boolean {
    return this.#few?.has(label) ?? this.#many?.has(label) ?? false;
  }

  add(label: number): void {
    if (this.has(label)) return;
    this.#size++;
    this.#range = Math.max(this.#range, label + 1);
    if (this.#many !== undefined) this.#many.set(label);
    else this.#few?.add(label);
    if (this.#few !== undefined && this.#size > MIN_BITMAP + this.#range / BITMAP_SHARE) {
      this.#many = Bitmap.of(this.#few);
      this.#few = undefined;
    }
  }

  delete(label: number): void {
    if (!this.has(label)) return;
    this.#size--;
    this.#few?.delete(label);
    this.#many?.clear(label);
  }

  /** Sets every label of this posting in `result`. */
  addTo(result: Bitmap): void {
    if (this.#many !== undefined) result.or(this.#many);
    else for (const label of this.#few ?? []) result.set(label);
  }
}
