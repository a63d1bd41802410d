import { hasNativeFunctions, hnswlib } from "../native/index.js";
import { type MetricSpace, type SearchHits, tiesAscend } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { NO_NODE } from "./graph-nodes.js";
import { hitsOf, mapsOfLiving, NativeSearch, type NodeLabels, type Walk } from "./native-search.js";
import { NATIVE_COSTS, planSearch } from "./search-plan.js";
import type { SearchOptions } from "./vector-index.js";
import type { Walkers } from "./walkers.js";

/** A graph that holds all that is live and that nothing changes for now, as its thread describes it to another; the maps are shared memory. */
export interface SharedGraph extends NodeLabels {
  /** As of `NativeGraph.share`. */
  number: number;
}

/** How a graph at rest answers a search. */
export interface RestingSearch {
  /** How many there are to find. */
  k: number;
  /** As broad as the graph, it compares with each of its rows. */
  breadth: number;
  /** In the microseconds of the plan of searches. */
  cost: number;
  allow: Bitmap | undefined;
}

/**
 * A graph of another thread, searched without that thread: a short walk takes less time than to send a question to it and to be woken by its
 * answer, and more threads than one can walk.
 *
 * What it answers is undefined when only the graph's own thread can tell: the walk did not reach enough, equal distances are not in the
 * order of their labels, or the graph is no longer shared.
 */
export class RestingGraph {
  readonly #graph: SharedGraph;
  readonly #search: NativeSearch;
  readonly #space: MetricSpace;
  readonly #prepared: Float32Array;
  readonly #matches = new WeakMap<Bitmap, number>();
  #isShared = true;

  constructor(graph: SharedGraph, space: MetricSpace, dimensions: number) {
    this.#graph = graph;
    this.#space = space;
    this.#prepared = new Float32Array(dimensions);
    this.#search = new NativeSearch((...search) => this.#walk(search), graph, space);
  }

  /** How to answer a search of one query; undefined when there is nothing to find. */
  plan({ k, efSearch, exact = false, allow }: SearchOptions & { efSearch: number }): RestingSearch | undefined {
    const { living, count } = this.#graph;
    const matches = allow === undefined ? living : this.#matchesOf(allow);
    const wanted = Math.min(k, matches);
    if (wanted < 1) return undefined;
    const breadth = Math.max(efSearch, k);
    const filtered = allow !== undefined;
    const shape = { dimensions: this.#prepared.length, matches, live: living, breadth, filtered, exact };
    const { compares, cost } = planSearch(shape, NATIVE_COSTS);
    return { k: wanted, breadth: compares ? Math.max(breadth, count) : breadth, cost, allow };
  }

  /** What is nearest to a raw query, nearest first, searched on this thread. */
  search(query: Float32Array, { k, breadth, allow }: RestingSearch): SearchHits | undefined {
    const hits = this.#search.search(this.#prepare(query), k, breadth, allow);
    return this.#isShared ? this.#complete(hits, k) : undefined;
  }

  /**
   * The same by other threads; `give` gets the answer in a later turn of the event loop, and never when this returns false: the graph is no
   * longer shared.
   *
   * @param search for `walkers.mostHits` at most
   */
  ask(
    walkers: Walkers,
    query: Float32Array,
    { k, breadth, cost, allow }: RestingSearch,
    give: (hits: SearchHits | undefined) => void,
  ): boolean {
    const { number, maps } = this.#graph;
    const { labelOf, nodeOf } = mapsOfLiving(this.#graph, allow);
    const asked = { number, query: this.#prepare(query), k, breadth, cost, labelOf, nodeOf, allow: allow?.words };
    return walkers.ask(asked, (nodes, distances) =>
      give(nodes && this.#complete(hitsOf(nodes, distances, nodes.length, maps.labelOf, this.#space), k)),
    );
  }

  /** How many of these labels the graph has. */
  #matchesOf(allow: Bitmap): number {
    const { nodeOf } = this.#graph.maps;
    const known = this.#matches.get(allow);
    const matches = known ?? allow.countWhere((label) => label < nodeOf.length && nodeOf[label] !== NO_NODE);
    if (known === undefined) this.#matches.set(allow, matches);
    return matches;
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
    const found = hasNativeFunctions(hnswlib) ? hnswlib.searchShared(this.#graph.number, ...search) : -1;
    this.#isShared = found >= 0;
    return Math.max(0, found);
  }
}
