import { type MetricSpace, type SearchHits, tiesAscend } from "../vector/index.js";
import { hasNativeSearch, hnswlib } from "./hnswlib.js";
import { NativeSearch, type NodeLabels, type Walk } from "./native-search.js";

/** A graph that holds all that is live and that nothing changes for now, as its thread describes it to another; the maps are shared memory. */
export interface SharedGraph extends NodeLabels {
  /** As of `NativeGraph.share`. */
  number: number;
}

/**
 * A graph of another thread, searched on this one: a short walk takes less time than to send a question to the other thread and to be woken
 * by its answer.
 */
export class RestingGraph {
  readonly living: number;
  readonly #search: NativeSearch;
  readonly #space: MetricSpace;
  #isShared = true;

  constructor(graph: SharedGraph, space: MetricSpace) {
    this.living = graph.living;
    this.#space = space;
    this.#search = new NativeSearch((...search) => this.#walk(graph.number, search), graph, space);
  }

  /**
   * About the `k` nearest to a raw query, nearest first; undefined when only the graph's own thread can tell: the walk did not reach enough,
   * equal distances are not in the order of their labels, or the graph is no longer shared.
   *
   * @param k from 1 to `living`
   */
  search(query: Float32Array, k: number, breadth: number): SearchHits | undefined {
    const prepared = query.slice();
    this.#space.preprocess(prepared, prepared.length);
    const hits = this.#search.search(prepared, k, breadth);
    return this.#isShared && hits.labels.length === k && tiesAscend(hits) ? hits : undefined;
  }

  #walk(number: number, search: Parameters<Walk>): number {
    const found = hasNativeSearch(hnswlib) ? hnswlib.searchShared(number, ...search) : -1;
    this.#isShared = found >= 0;
    return Math.max(0, found);
  }
}
