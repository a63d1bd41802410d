import type { Bitmap } from "./bitmap.js";
import type { RowFile } from "./row-file.js";

/** Rows read from the file at a time. */
const READ_AHEAD = 16;

/** Labels whose rows are to be built into a graph, smallest first, with their rows read a few at a time. */
export class LabelQueue {
  readonly labels: Bitmap;
  #count: number;
  #cursor = 0;
  #ahead: number[] = [];
  #aheadRows = new Float32Array(0);
  #some = new Float32Array(0);
  #position = 0;

  /** @param labels what is queued at first; the queue takes the set over */
  constructor(labels: Bitmap) {
    this.labels = labels;
    this.#count = labels.count();
  }

  get count(): number {
    return this.#count;
  }

  /** Queues a label, or says that the row of a queued one has changed. */
  set(label: number): void {
    this.#ahead = [];
    if (this.labels.has(label)) return;
    this.labels.set(label);
    this.#count++;
  }

  clear(label: number): void {
    if (!this.labels.has(label)) return;
    this.labels.clear(label);
    this.#count--;
  }

  /** Takes the next label and its preprocessed row, valid until the next is taken; undefined when the queue is empty. */
  take(rows: RowFile): { label: number; row: Float32Array } | undefined {
    while (this.#count > 0) {
      if (this.#position >= this.#ahead.length && !this.#readAhead(rows)) continue;
      const position = this.#position++;
      const label = this.#ahead[position] as number;
      // A label may have left the queue since it was read.
      if (!this.labels.has(label)) continue;
      this.clear(label);
      this.#cursor = label + 1;
      return { label, row: this.#aheadRows.subarray(position * rows.dimensions, (position + 1) * rows.dimensions) };
    }
    return undefined;
  }

  /** Takes up to `limit` labels with their preprocessed rows, flat, valid until more are taken. */
  takeSome(rows: RowFile, limit: number): { labels: number[]; rows: Float32Array } {
    const count = Math.min(limit, this.#count);
    if (this.#some.length < count * rows.dimensions) this.#some = new Float32Array(count * rows.dimensions);
    const taken = { labels: [] as number[], rows: this.#some.subarray(0, count * rows.dimensions) };
    for (
      let next = this.take(rows);
      next !== undefined;
      next = taken.labels.length < count ? this.take(rows) : undefined
    ) {
      taken.rows.set(next.row, taken.labels.length * rows.dimensions);
      taken.labels.push(next.label);
    }
    return taken;
  }

  #readAhead(rows: RowFile): boolean {
    this.#position = 0;
    this.#ahead = this.labels.next(this.#cursor, READ_AHEAD);
    if (this.#ahead.length === 0) {
      this.#cursor = 0;
      return false;
    }
    const needed = READ_AHEAD * rows.dimensions;
    if (this.#aheadRows.length < needed) this.#aheadRows = new Float32Array(needed);
    rows.read(this.#ahead, this.#aheadRows);
    return true;
  }
}
