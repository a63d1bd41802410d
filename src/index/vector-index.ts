import type { Metric, SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";

/**
 * Where the vectors are: a file of little-endian float32 rows of `dimensions` numbers, without header; row number =
 * label. The rows are raw, the index prepares them by its metric. The index only reads the file.
 */
export interface RowSource {
  path: string;
  dimensions: number;
}

/** Which labels are in the collection, and the sequence number of the write that put each there (same order). */
export interface LiveRows {
  labels: Uint32Array;
  sequences: Float64Array;
}

/** What every index is opened with. */
export interface IndexOptions {
  rows: RowSource;
  metric: Metric;
  live: LiveRows;
}

export interface SearchOptions {
  /** How many neighbours, at least 0; more than there are gives all there are. */
  k: number;
  /** Breadth of the graph search; at least `k` is used. @default the index's efSearch */
  efSearch?: number;
  /** Compare with every row instead of walking the graph. @default false */
  exact?: boolean;
  /** Only these labels; not to be changed from then on. @default every label */
  allow?: Bitmap;
}

export interface IndexStatus {
  /** Items a search can find. */
  points: number;
  /** Points of removed or replaced items still inside the graph; a rebuild sheds them. */
  tombstones: number;
  /** Items that are found by comparison, because they are not in the graph yet. */
  lag: number;
  /** The graph's links were made for other vectors: searches need more breadth, and a rebuild is wanted. */
  provisional: boolean;
  /** Estimate: graph, vectors inside it, and rows waiting. */
  bytesInMemory: number;
}

export interface RebuildResult {
  points: number;
  /** How many tombstones the rebuild shed. */
  reclaimed: number;
  milliseconds: number;
}

/** Called now and then while long work goes on; `done` never shrinks, `total` may grow. */
export type IndexProgress = (progress: { done: number; total: number }) => void;

/**
 * An index over the rows of a file. It is never the truth: it holds what its owner says is live. Implementations are
 * held to one conformance suite. Every method but `close` rejects with `shutting_down` after `close`, and with
 * `internal` when the index has died.
 */
export interface VectorIndex {
  /**
   * Adds labels whose rows are in the file, or replaces what they stood for. Resolves when every search begun
   * afterwards finds the new rows. Waits while too many added rows are still to be built into the graph.
   */
  add(labels: Uint32Array): Promise<void>;
  /** Removes labels; those that are not there are ignored. A label may be added again at any time, with another row. */
  remove(labels: Uint32Array): Promise<void>;
  /**
   * The nearest live rows to each of `count` raw queries (count x dimensions, flat), one `SearchHits` a query:
   * min(k, live labels allowed) hits, ascending by distance, ties ascending by label. The queries must not change until it resolves.
   */
  search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]>;
  status(): Promise<IndexStatus>;
  /** Changes the default breadth of searches. */
  setEfSearch(efSearch: number): void;
  /** Resolves when the lag is 0. */
  drain(onProgress?: IndexProgress): Promise<void>;
  /** Builds a new graph of the live rows beside the old one, which serves meanwhile, and changes over. */
  rebuild(onProgress?: IndexProgress): Promise<RebuildResult>;
  /**
   * Saves the graph; `sequence` is the newest write whose `add` or `remove` has been resolved. A provisional graph stays saved as it was
   * opened: what replaces it is saved soon.
   */
  snapshot(sequence: number): Promise<void>;
  /** Stops all work and frees everything; calls still open reject with `shutting_down`. */
  close(): Promise<void>;
}
