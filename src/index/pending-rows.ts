import { freeArray, type MetricSpace, type TopK } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { RowDistances } from "./row-distances.js";

/** Rows that were added and are not in the graph yet, kept dense so that comparing with all of them is one loop. */
export class PendingRows {
  readonly #dimensions: number;
  readonly #distances: RowDistances;
  readonly #slotOf = new Map<number, number>();
  readonly #labels: number[] = [];
  #rows: Float32Array;
  #taken = new Float32Array(0);

  constructor(dimensions: number, space: MetricSpace) {
    this.#dimensions = dimensions;
    this.#distances = new RowDistances(space, dimensions);
    this.#rows = new Float32Array(16 * dimensions);
  }

  get size(): number {
    return this.#labels.length;
  }

  get bytes(): number {
    return this.#rows.byteLength;
  }

  /** Whether distances are those of a graph, bit for bit. */
  get asInGraph(): boolean {
    return this.#distances.asInGraph;
  }

  has(label: number): boolean {
    return this.#slotOf.has(label);
  }

  /** Keeps a copy of a preprocessed row, in place of the label's earlier one. */
  set(label: number, row: Float32Array): void {
    let slot = this.#slotOf.get(label);
    if (slot === undefined) {
      slot = this.#labels.push(label) - 1;
      this.#slotOf.set(label, slot);
      if ((slot + 1) * this.#dimensions > this.#rows.length) this.#resize(2 * slot);
    }
    this.#rows.set(row, slot * this.#dimensions);
  }

  delete(label: number): void {
    const slot = this.#slotOf.get(label);
    if (slot === undefined) return;
    const last = this.#labels.length - 1;
    const moved = this.#labels[last] as number;
    this.#rows.copyWithin(slot * this.#dimensions, last * this.#dimensions, (last + 1) * this.#dimensions);
    this.#labels[slot] = moved;
    this.#slotOf.set(moved, slot);
    this.#labels.pop();
    this.#slotOf.delete(label);
    if (last === 0) this.#shrink();
  }

  clear(): void {
    this.#labels.length = 0;
    this.#slotOf.clear();
    this.#shrink();
  }

  /** Takes up to `limit` labels out, with their rows: flat, valid until more are taken. */
  take(limit: number): { labels: number[]; rows: Float32Array } {
    const first = Math.max(0, this.size - limit);
    const labels = this.#labels.slice(first);
    const numbers = labels.length * this.#dimensions;
    if (this.#taken.length < numbers) this.#taken = new Float32Array(numbers);
    const rows = this.#taken.subarray(0, numbers);
    rows.set(this.#rows.subarray(first * this.#dimensions, this.size * this.#dimensions));
    for (const label of labels) this.delete(label);
    return { labels, rows };
  }

  /** The row of a label that is kept; a view, valid until the next change. */
  row(label: number): Float32Array {
    const start = (this.#slotOf.get(label) as number) * this.#dimensions;
    return this.#rows.subarray(start, start + this.#dimensions);
  }

  /** Offers every row (allowed by `allow`) to `top`. */
  search(query: Float32Array, top: TopK, allow?: Bitmap): void {
    const rows = this.#rows.subarray(0, this.size * this.#dimensions);
    this.#distances.compare(query, rows, this.#labels, [top], allow);
  }

  /** Gives the memory of a burst back: the thread may be idle from now on, and collect no garbage. */
  #shrink(): void {
    if (this.#rows.length > 16 * this.#dimensions) this.#resize(16);
  }

  #resize(slots: number): void {
    const rows = new Float32Array(slots * this.#dimensions);
    rows.set(this.#rows.subarray(0, Math.min(rows.length, this.#labels.length * this.#dimensions)));
    freeArray(this.#rows);
    this.#rows = rows;
  }
}
