import { Bitmap } from "./bitmap.js";

/** Above this many labels, and when they are a 256th of the range, a bitmap is smaller than a set. */
const MIN_BITMAP = 64;
const BITMAP_SHARE = 256;

/**
 * The labels under one value: nothing but a number while it is one (as for every value of a unique key), a set while
 * they are few, a bitmap when they are many.
 */
export class Posting {
  #labels: number | Set<number> | Bitmap | undefined;
  #size = 0;
  #range = 0;

  get size(): number {
    return this.#size;
  }

  has(label: number): boolean {
    const labels = this.#labels;
    return typeof labels === "object" ? labels.has(label) : labels === label;
  }

  add(label: number): void {
    if (this.has(label)) return;
    this.#size++;
    this.#range = Math.max(this.#range, label + 1);
    if (this.#labels === undefined) this.#labels = label;
    else if (typeof this.#labels === "number") this.#labels = new Set([this.#labels, label]);
    else if (this.#labels instanceof Bitmap) this.#labels.set(label);
    else {
      this.#labels.add(label);
      if (this.#size > MIN_BITMAP + this.#range / BITMAP_SHARE) this.#labels = Bitmap.of(this.#labels);
    }
  }

  delete(label: number): void {
    if (!this.has(label)) return;
    this.#size--;
    if (this.#size === 0) this.#labels = undefined;
    else if (this.#labels instanceof Bitmap) this.#labels.clear(label);
    else if (typeof this.#labels === "object") this.#labels.delete(label);
  }

  /** Sets every label of this posting in `result`. */
  addTo(result: Bitmap): void {
    const labels = this.#labels;
    if (labels === undefined) return;
    if (typeof labels === "number") result.set(labels);
    else if (labels instanceof Bitmap) result.or(labels);
    else for (const label of labels) result.set(label);
  }
}
