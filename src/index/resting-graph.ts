import { type MetricSpace, type SearchHits, tiesAscend } from "../vector/index.js";
import { hasNativeSearch, hnswlib } from "./hnswlib.js";
import { hitsOf, mapsOfLiving, NativeSearch, type NodeLabels, type Walk } from "./native-search.js";
import { isSmall, NATIVE_COSTS, scanCost, walkCost } from "./search-plan.js";
import type { Walkers } from "./walkers.js";

/** A graph that holds all that is live and that nothing changes for now, as its thread describes it to another; the maps are shared memory. */
export interface SharedGraph extends NodeLabels {
  /** As of `NativeGraph.share`. */
  number: number;
}

/**
 * A graph of another thread, searched without that thread: a short walk takes less time than to send a question to it and to be woken by its
 * answer, and more threads than one can walk.
 *
 * What it answers is undefined when only the graph's own thread can tell: the walk did not reach enough, equal distances are not in the
 * order of their labels, or the graph is no longer shared. A search as broad as the graph compares with each of its rows.
 */
export class RestingGraph {
  readonly #graph: SharedGraph;
  readonly #search: NativeSearch;
  readonly #space: MetricSpace;
  readonly #prepared: Float32Array;
  #isShared = true;

  constructor(graph: SharedGraph, space: MetricSpace, dimensions: number) {
    this.#graph = graph;
    this.#space = space;
    this.#prepared = new Float32Array(dimensions);
    this.#search = new NativeSearch((...search) => this.#walk(search), graph, space);
  }

  get living(): number {
    return this.#graph.living;
  }

  /** What a search of this breadth costs, in the microseconds of the plan of searches. */
  cost(breadth: number): number {
    const dimensions = this.#prepared.length;
    return breadth < this.#graph.count
      ? walkCost(breadth, dimensions, NATIVE_COSTS)
      : scanCost(this.#graph.count, dimensions, NATIVE_COSTS);
  }

  /** The breadth of a search that was asked for with `asked`: where it would keep a quarter of the rows, it compares with each. */
  breadth(asked: number): number {
    return isSmall(this.living, asked) ? Math.max(asked, this.#graph.count) : asked;
  }

  /**
   * About the `k` nearest to a raw query, nearest first, searched on this thread.
   *
   * @param k from 1 to `living`
   */
  search(query: Float32Array, k: number, breadth: number): SearchHits | undefined {
    const hits = this.#search.search(this.#prepare(query), k, breadth);
    return this.#isShared ? this.#complete(hits, k) : undefined;
  }

  /**
   * The same by other threads; `give` gets the answer in a later turn of the event loop, and never when this returns false: the graph is no
   * longer shared.
   *
   * @param k from 1 to `living` and to `walkers.mostHits`
   */
  ask(
    walkers: Walkers,
    query: Float32Array,
    k: number,
    breadth: number,
    give: (hits: SearchHits | undefined) => void,
  ): boolean {
    const { number, maps } = this.#graph;
    const { labelOf, nodeOf } = mapsOfLiving(this.#graph);
    const walk = { number, query: this.#prepare(query), k, breadth, cost: this.cost(breadth), labelOf, nodeOf };
    return walkers.ask(walk, (nodes, distances) =>
      give(nodes && this.#complete(hitsOf(nodes, distances, nodes.length, maps.labelOf, this.#space), k)),
    );
  }

  #prepare(query: Float32Array): Float32Array {
    this.#prepared.set(query);
    this.#space.preprocess(this.#prepared, this.#prepared.length);
    return this.#prepared;
  }

  #complete(hits: SearchHits, k: number): SearchHits | undefined {
    return hits.labels.length === k && tiesAscend(hits) ? hits : undefined;
  }

  #walk(search: Parameters<Walk>): number {
    const found = hasNativeSearch(hnswlib) ? hnswlib.searchShared(this.#graph.number, ...search) : -1;
    this.#isShared = found >= 0;
    return Math.max(0, found);
  }
}
