import type { TopK } from "../vector/index.js";
import type { HnswGraph } from "./hnsw-graph.js";
import { RowDistances } from "./row-distances.js";
import type { RowFile } from "./row-file.js";

/** Rows found by their labels, for a scan to compare with. */
export interface ScannedRows {
  readonly dimensions: number;
  /** How many queries to compare at once with `rows` rows, for a step that is short. */
  queriesAtOnce(rows: number): number;
  /** Compares preprocessed queries with the rows of `labels`, and offers each query's to its own of `tops`. */
  compare(queries: Float32Array, labels: number[], tops: readonly TopK[]): void;
}

/** Rows read from the file; those of the last labels are kept for further queries. */
export class FileRows implements ScannedRows {
  readonly #file: RowFile;
  readonly #distances: RowDistances;
  #labels: number[] | undefined;
  #rows: Float32Array = new Float32Array(0);

  constructor(file: RowFile) {
    this.#file = file;
    this.#distances = new RowDistances(file.space, file.dimensions);
  }

  get dimensions(): number {
    return this.#file.dimensions;
  }

  queriesAtOnce(rows: number): number {
    return this.#distances.queriesAtOnce(rows);
  }

  compare(queries: Float32Array, labels: number[], tops: readonly TopK[]): void {
    if (labels !== this.#labels) {
      this.#rows = this.#file.read(labels);
      this.#labels = labels;
    }
    this.#distances.compare(queries, this.#rows, labels, tops);
  }
}

/** Rows compared where they are inside a graph, and those that it lacks in the file. */
export class GraphRows implements ScannedRows {
  readonly dimensions: number;
  readonly #graph: () => HnswGraph;
  readonly #file: FileRows;
  readonly #distances: RowDistances;

  /** @param graph the one that serves now */
  constructor(graph: () => HnswGraph, file: RowFile) {
    this.dimensions = file.dimensions;
    this.#graph = graph;
    this.#file = new FileRows(file);
    this.#distances = new RowDistances(file.space, file.dimensions);
  }

  queriesAtOnce(rows: number): number {
    return this.#distances.queriesAtOnce(rows);
  }

  compare(queries: Float32Array, labels: number[], tops: readonly TopK[]): void {
    const graph = this.#graph();
    const outside = graph.comparesRows ? labels.filter((label) => !graph.has(label)) : labels;
    if (outside.length < labels.length) {
      const inside = outside.length === 0 ? labels : labels.filter((label) => graph.has(label));
      this.#distances.compareBy((values) => graph.compare(queries, inside, values), inside, tops);
    }
    if (outside.length > 0) this.#file.compare(queries, outside, tops);
  }
}
