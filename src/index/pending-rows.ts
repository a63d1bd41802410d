import { hasNativeFunctions, hnswlib } from "../native/index.js";
import { keptMemory, type MetricSpace, type TopK } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { RowDistances } from "./row-distances.js";

const FEWEST_SLOTS = 16;

/**
 * Rows that were added and are not in the graph yet, in a ring, so that comparing with all of them is a loop or two. The oldest come first: a graph that
 * is built in the order of the writes finds a little more than one that is built in reverse.
 */
export class PendingRows {
  readonly #dimensions: number;
  readonly #most: number;
  readonly #distances: RowDistances;
  /** Each label's place: places count on while there are any, and the slot of a place is what is left of it when divided by the number of slots. */
  readonly #placeOf = new Map<number, number>();
  /** Places from `#first` to `#end` (exclusive) are taken. */
  #first = 0;
  #end = 0;
  #labels = new Uint32Array(FEWEST_SLOTS);
  #rows: Float32Array<ArrayBuffer>;
  #taken = new Float32Array(0);

  /** @param most how many are expected at the same time; memory for so many is there at once, and taken from the system as it is used */
  constructor(dimensions: number, space: MetricSpace, most: number) {
    this.#dimensions = dimensions;
    this.#most = most;
    this.#distances = new RowDistances(space, dimensions);
    this.#rows = new Float32Array(FEWEST_SLOTS * dimensions);
  }

  get size(): number {
    return this.#end - this.#first;
  }

  /** Of the memory that was used since there were none. */
  get bytes(): number {
    const used = Math.max(FEWEST_SLOTS, Math.min(this.#end, this.#slots));
    return used * this.#dimensions * Float32Array.BYTES_PER_ELEMENT + this.#labels.byteLength;
  }

  /** Whether distances are those of a graph, bit for bit. */
  get asInGraph(): boolean {
    return this.#distances.asInGraph;
  }

  has(label: number): boolean {
    return this.#placeOf.has(label);
  }

  /** Keeps a copy of a preprocessed row, in place of the label's earlier one. */
  set(label: number, row: Float32Array): void {
    let place = this.#placeOf.get(label);
    if (place === undefined) {
      if (this.size === this.#slots) this.#resize(Math.max(2 * this.size, this.#most));
      place = this.#end++;
      this.#placeOf.set(label, place);
      this.#labels[place % this.#slots] = label;
    }
    this.#rows.set(row, (place % this.#slots) * this.#dimensions);
  }

  delete(label: number): void {
    const place = this.#placeOf.get(label);
    if (place === undefined) return;
    const last = --this.#end % this.#slots;
    const moved = this.#labels[last] as number;
    this.#placeOf.set(moved, place);
    this.#labels[place % this.#slots] = moved;
    const from = last * this.#dimensions;
    this.#rows.copyWithin((place % this.#slots) * this.#dimensions, from, from + this.#dimensions);
    this.#placeOf.delete(label);
    this.#shrinkIfEmpty();
  }

  clear(): void {
    this.#placeOf.clear();
    this.#first = this.#end;
    this.#shrinkIfEmpty();
  }

  /** Takes up to `limit` labels out, the oldest, with their rows: flat, valid until more are taken. */
  take(limit: number): { labels: number[]; rows: Float32Array } {
    const count = Math.min(limit, this.size);
    const labels: number[] = [];
    if (this.#taken.length < count * this.#dimensions) this.#taken = new Float32Array(count * this.#dimensions);
    for (const part of this.#parts(count)) {
      this.#taken.set(part.rows, labels.length * this.#dimensions);
      labels.push(...part.labels);
    }
    for (const label of labels) this.#placeOf.delete(label);
    this.#first += count;
    this.#shrinkIfEmpty();
    return { labels, rows: this.#taken.subarray(0, count * this.#dimensions) };
  }

  /** The row of a label that is kept; a view, valid until the next change. */
  row(label: number): Float32Array {
    const slot = (this.#placeOf.get(label) as number) % this.#slots;
    return this.#rows.subarray(slot * this.#dimensions, (slot + 1) * this.#dimensions);
  }

  /** Offers every row (allowed by `allow`) to `top`. */
  search(query: Float32Array, top: TopK, allow?: Bitmap): void {
    for (const { labels, rows } of this.#parts(this.size)) this.#distances.compare(query, rows, labels, [top], allow);
  }

  get #slots(): number {
    return this.#labels.length;
  }

  /** The oldest `count`, in views: two where they go around the end of the ring. */
  #parts(count: number): { labels: Uint32Array; rows: Float32Array }[] {
    const from = this.#first % this.#slots;
    const to = Math.min(from + count, this.#slots);
    const part = (first: number, end: number) => ({
      labels: this.#labels.subarray(first, end),
      rows: this.#rows.subarray(first * this.#dimensions, end * this.#dimensions),
    });
    const rest = count - (to - from);
    return rest === 0 ? [part(from, to)] : [part(from, to), part(0, rest)];
  }

  /** Gives the memory of a burst back: the thread may be idle from now on, and collect no garbage. The next one begins where memory is in use already. */
  #shrinkIfEmpty(): void {
    if (this.size > 0) return;
    this.#first = 0;
    this.#end = 0;
    if (this.#slots > FEWEST_SLOTS) this.#resize(FEWEST_SLOTS);
  }

  #resize(slots: number): void {
    const old = this.#parts(this.size);
    const freed = this.#rows;
    this.#labels = new Uint32Array(slots);
    this.#rows = keptMemory.takeFloats(slots * this.#dimensions);
    if (hasNativeFunctions(hnswlib)) hnswlib.useHugePages(this.#rows);
    this.#end = 0;
    this.#first = 0;
    for (const { labels, rows } of old) {
      this.#labels.set(labels, this.#end);
      this.#rows.set(rows, this.#end * this.#dimensions);
      for (const label of labels) this.#placeOf.set(label, this.#end++);
    }
    keptMemory.giveBack(freed);
  }
}
