import { type SearchHits, TopK } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import type { RowFile } from "./row-file.js";

/** Bytes of rows read and compared in one step: a few hundred microseconds of work. */
const BLOCK_BYTES = 256 * 1024;

/**
 * Compares queries with every row of a set of labels, block by block: each `step` is short, so that its thread can
 * do other things between. Rows that change while the scan runs are left out of its answer (see `touch`).
 */
export class ExactScan {
  readonly #rows: RowFile;
  readonly #target: Bitmap;
  readonly #queries: Float32Array;
  readonly #tops: TopK[];
  readonly #touched = new Set<number>();
  #labels: number[] = [];
  #block: Float32Array = new Float32Array(0);
  #nextQuery: number;
  #nextLabel = 0;

  /** @param queries preprocessed, flat; one answer for each */
  constructor(rows: RowFile, target: Bitmap, queries: Float32Array, k: number) {
    this.#rows = rows;
    this.#target = target;
    this.#queries = queries;
    this.#tops = Array.from({ length: queries.length / rows.dimensions }, () => new TopK(k));
    this.#nextQuery = this.#tops.length;
  }

  /** Says that a label was removed, or its row replaced, since the scan began. */
  touch(label: number): void {
    if (this.#target.has(label)) this.#touched.add(label);
  }

  /** Compares one query with one block; true when the scan is complete. */
  step(): boolean {
    if (this.#nextQuery === this.#tops.length && !this.#readBlock()) return true;
    const { dimensions, space } = this.#rows;
    const top = this.#tops[this.#nextQuery] as TopK;
    const offset = this.#nextQuery * dimensions;
    for (let i = 0; i < this.#labels.length; i++) {
      const distance = space.distanceAt(this.#queries, offset, this.#block, i * dimensions, dimensions);
      if (distance <= top.bound) top.push(this.#labels[i] as number, distance);
    }
    this.#nextQuery++;
    return false;
  }

  /**
   * The hits of each query, once complete. Touched rows are left out; when one had been among the nearest, `disturbed`
   * is true: it may have kept another row out, and the scan should be made again.
   */
  finish(): { hits: SearchHits[]; disturbed: boolean } {
    const complete = this.#tops.map((top) => top.sorted());
    const hits = complete.map((found) => withoutLabels(found, this.#touched));
    return { hits, disturbed: hits.some((kept, i) => kept.labels.length < (complete[i] as SearchHits).labels.length) };
  }

  #readBlock(): boolean {
    const limit = Math.max(1, Math.floor(BLOCK_BYTES / (this.#rows.dimensions * 4)));
    const labels = this.#target.next(this.#nextLabel, limit);
    if (labels.length === 0) return false;
    this.#nextLabel = (labels.at(-1) as number) + 1;
    this.#labels = this.#touched.size === 0 ? labels : labels.filter((label) => !this.#touched.has(label));
    this.#block = this.#rows.read(this.#labels);
    this.#nextQuery = 0;
    return this.#tops.length > 0;
  }
}

function withoutLabels(hits: SearchHits, unwanted: ReadonlySet<number>): SearchHits {
  if (unwanted.size === 0) return hits;
  const kept = [...hits.labels.keys()].filter((i) => !unwanted.has(hits.labels[i] as number));
  return {
    labels: Uint32Array.from(kept, (i) => hits.labels[i] as number),
    distances: Float64Array.from(kept, (i) => hits.distances[i] as number),
  };
}
