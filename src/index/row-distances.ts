import { hasNativeFunctions, hnswlib } from "../native/index.js";
import type { MetricSpace, TopK } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";

/** The most values of one comparison. */
const MAX_VALUES = 65_536;

/**
 * Distances of queries to rows, all of them: in hnswlib's own arithmetic where its build can (float32, many times faster; then a row is as
 * far as an equal one in a graph, bit for bit), else in float64.
 */
export class RowDistances {
  readonly #space: MetricSpace;
  readonly #dimensions: number;
  readonly #native = hasNativeFunctions(hnswlib) ? hnswlib : undefined;
  /** Of the last comparison, query by query; what `fromHnsw` takes where it is hnswlib's. */
  #values: Float32Array | Float64Array = new Float32Array(0);

  constructor(space: MetricSpace, dimensions: number) {
    this.#space = space;
    this.#dimensions = dimensions;
  }

  /** Whether they are those of a graph, bit for bit. */
  get asInGraph(): boolean {
    return this.#native !== undefined;
  }

  /** How many queries to compare at once with `rows` rows, for a step that is short. */
  queriesAtOnce(rows: number): number {
    return this.#native === undefined ? 1 : Math.max(1, Math.floor(MAX_VALUES / rows));
  }

  /**
   * Compares preprocessed queries with preprocessed rows, both flat, and offers each query's to its own of `tops`.
   *
   * @param labels of the rows, in their order
   * @param allow only labels of this set are offered
   */
  compare(
    queries: Float32Array,
    rows: Float32Array,
    labels: ArrayLike<number>,
    tops: readonly TopK[],
    allow?: Bitmap,
  ): void {
    const needed = labels.length * tops.length;
    if (this.#native === undefined) {
      if (this.#values.length < needed) this.#values = new Float64Array(needed);
      this.#compareHere(queries, rows, tops.length, labels.length);
      this.#offer(labels, tops, (value) => value, allow);
      return;
    }
    const values = this.#room(needed);
    this.#native.compareRows(this.#space.hnswSpace, this.#dimensions, queries, rows, values);
    this.#offer(labels, tops, this.#space.fromHnsw, allow);
  }

  /** The same for values that somebody else writes, query by query: a graph that has the rows. */
  compareBy(write: (values: Float32Array) => void, labels: ArrayLike<number>, tops: readonly TopK[]): void {
    write(this.#room(labels.length * tops.length));
    this.#offer(labels, tops, this.#space.fromHnsw);
  }

  #room(count: number): Float32Array {
    if (this.#values instanceof Float32Array && this.#values.length >= count) return this.#values;
    const values = new Float32Array(count);
    this.#values = values;
    return values;
  }

  #compareHere(queries: Float32Array, rows: Float32Array, queryCount: number, rowCount: number): void {
    const dimensions = this.#dimensions;
    for (let query = 0; query < queryCount; query++) {
      for (let row = 0; row < rowCount; row++) {
        const distance = this.#space.distanceAt(queries, query * dimensions, rows, row * dimensions, dimensions);
        this.#values[query * rowCount + row] = distance;
      }
    }
  }

  #offer(
    labels: ArrayLike<number>,
    tops: readonly TopK[],
    toDistance: (value: number) => number,
    allow?: Bitmap,
  ): void {
    for (let query = 0; query < tops.length; query++) {
      const top = tops[query] as TopK;
      const start = query * labels.length;
      for (let row = 0; row < labels.length; row++) {
        const distance = toDistance(this.#values[start + row] as number);
        if (distance > top.bound) continue;
        const label = labels[row] as number;
        if (allow === undefined || allow.has(label)) top.push(label, distance);
      }
    }
  }
}
