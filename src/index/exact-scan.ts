import { type SearchHits, TopK } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import type { ScannedRows } from "./scanned-rows.js";

/** Bytes of rows compared in one step: a few hundred microseconds of work. */
const BLOCK_BYTES = 256 * 1024;

/** The queries of one search among those that a scan answers. */
export interface ScanShare {
  first: number;
  count: number;
}

/**
 * Compares queries with every row of a set of labels, block by block: each `step` is short, so that its thread can do other things between.
 * Searches may join until the first step: memory then gives each row once for all of them. Rows that change while the scan runs are left
 * out of its answer (see `touch`).
 */
export class ExactScan {
  readonly #rows: ScannedRows;
  readonly #target: Bitmap;
  readonly #joined: Float32Array[] = [];
  readonly #tops: TopK[] = [];
  readonly #touched = new Set<number>();
  #queries: Float32Array | undefined;
  #labels: number[] = [];
  #nextQuery = 0;
  #nextLabel = 0;
  #complete: SearchHits[] | undefined;

  constructor(rows: ScannedRows, target: Bitmap) {
    this.#rows = rows;
    this.#target = target;
  }

  /** Whether the first step was made. */
  get begun(): boolean {
    return this.#queries !== undefined;
  }

  /** @param queries preprocessed, flat; one answer of the `k` nearest for each */
  join(queries: Float32Array, k: number): ScanShare {
    const share = { first: this.#tops.length, count: queries.length / this.#rows.dimensions };
    this.#joined.push(queries);
    for (let i = 0; i < share.count; i++) this.#tops.push(new TopK(k));
    return share;
  }

  /** Says that a label was removed, or its row replaced, since the scan began. */
  touch(label: number): void {
    if (this.#target.has(label)) this.#touched.add(label);
  }

  /** Compares some queries with one block; true when the scan is complete. */
  step(): boolean {
    if (this.#complete !== undefined) return true;
    this.#queries ??= this.#begin();
    if (this.#nextQuery === this.#tops.length && !this.#nextBlock()) {
      this.#complete = this.#tops.map((top) => top.sorted());
      return true;
    }
    const { dimensions } = this.#rows;
    const end = Math.min(this.#tops.length, this.#nextQuery + this.#rows.queriesAtOnce(this.#labels.length));
    const queries = this.#queries.subarray(this.#nextQuery * dimensions, end * dimensions);
    this.#rows.compare(queries, this.#labels, this.#tops.slice(this.#nextQuery, end));
    this.#nextQuery = end;
    return false;
  }

  /**
   * The hits of each query of a share, once complete. Touched rows are left out; when one had been among the nearest, `disturbed` is true: it
   * may have kept another row out, and the scan should be made again.
   */
  finish({ first, count }: ScanShare): { hits: SearchHits[]; disturbed: boolean } {
    const complete = (this.#complete ?? []).slice(first, first + count);
    const hits = complete.map((found) => withoutLabels(found, this.#touched));
    return { hits, disturbed: hits.some((kept, i) => kept.labels.length < (complete[i] as SearchHits).labels.length) };
  }

  #begin(): Float32Array {
    this.#nextQuery = this.#tops.length;
    if (this.#joined.length === 1) return this.#joined[0] as Float32Array;
    const queries = new Float32Array(this.#tops.length * this.#rows.dimensions);
    let start = 0;
    for (const joined of this.#joined) {
      queries.set(joined, start);
      start += joined.length;
    }
    return queries;
  }

  #nextBlock(): boolean {
    const limit = Math.max(1, Math.floor(BLOCK_BYTES / (this.#rows.dimensions * 4)));
    const labels = this.#target.next(this.#nextLabel, limit);
    if (labels.length === 0 || this.#tops.length === 0) return false;
    this.#nextLabel = (labels.at(-1) as number) + 1;
    this.#labels = this.#touched.size === 0 ? labels : labels.filter((label) => !this.#touched.has(label));
    this.#nextQuery = 0;
    return true;
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
