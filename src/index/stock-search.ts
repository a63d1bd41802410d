import { type GivenVector, type HierarchicalNSW, hnswlib } from "../native/index.js";
import type { MetricSpace, SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import type { GraphNodes } from "./graph-nodes.js";
import type { GraphSearch } from "./graph-search.js";

/** Beyond this many results per call, leaving tombstones out by a callback is cheaper than asking for more results. */
const MAX_FETCH = 4096;

/** Searches by what hnswlib-node offers as npm has it. */
export class StockSearch implements GraphSearch {
  readonly #hnsw: HierarchicalNSW;
  readonly #nodes: GraphNodes;
  readonly #space: MetricSpace;
  #ef = 0;
  readonly #scratch: number[] = [];

  constructor(hnsw: HierarchicalNSW, nodes: GraphNodes, space: MetricSpace) {
    this.#hnsw = hnsw;
    this.#nodes = nodes;
    this.#space = space;
  }

  search(query: Float32Array, k: number, breadth: number, allow?: Bitmap): SearchHits {
    const given = this.#given(query);
    const { count, living } = this.#nodes;
    if (allow !== undefined) return this.#filtered(given, k, breadth, this.#allowed(allow));
    if (living < count) return this.#aroundTombstones(given, k, breadth);
    this.#setEf(breadth);
    return this.#toHits(this.#hnsw.searchKnn(given, Math.min(k, count)), k);
  }

  /**
   * Searches wide enough to still have `breadth` living results when tombstones lie evenly, wider where they cluster,
   * and by a callback where only that finds the living.
   */
  #aroundTombstones(query: GivenVector, k: number, breadth: number): SearchHits {
    const { count, living } = this.#nodes;
    const wanted = Math.min(breadth, living);
    for (let fetch = Math.ceil((breadth * count) / living) + 8; fetch <= MAX_FETCH; fetch *= 3) {
      this.#setEf(fetch);
      const hits = this.#toHits(this.#hnsw.searchKnn(query, Math.min(fetch, count)), Number.POSITIVE_INFINITY);
      if (hits.labels.length >= Math.max(k, wanted / 2)) {
        return { labels: hits.labels.slice(0, k), distances: hits.distances.slice(0, k) };
      }
      if (fetch >= count) break;
    }
    return this.#filtered(query, k, breadth, (node) => this.#nodes.isLiving(node));
  }

  #filtered(query: GivenVector, k: number, breadth: number, test: (node: number) => boolean): SearchHits {
    this.#setEf(breadth);
    return this.#toHits(this.#hnsw.searchKnn(query, Math.min(k, this.#nodes.count), test), k);
  }

  /** A test for hnswlib that cannot throw (a throw there would end the process): it only reads typed arrays. */
  #allowed(allow: Bitmap): (node: number) => boolean {
    const { labelOf, nodeOf } = this.#nodes.maps;
    const words = allow.words;
    return (node) => {
      const label = labelOf[node] as number;
      return nodeOf[label] === node && (((words[label >>> 5] as number) >>> (label & 31)) & 1) === 1;
    };
  }

  #toHits(found: { neighbors: number[]; distances: number[] }, k: number): SearchHits {
    const labels: number[] = [];
    const distances: number[] = [];
    for (let i = 0; i < found.neighbors.length && labels.length < k; i++) {
      const node = found.neighbors[i] as number;
      if (!this.#nodes.isLiving(node)) continue;
      labels.push(this.#nodes.labelOf(node));
      distances.push(this.#space.fromHnsw(found.distances[i] as number));
    }
    return { labels: Uint32Array.from(labels), distances: Float64Array.from(distances) };
  }

  #setEf(ef: number): void {
    if (ef === this.#ef) return;
    this.#hnsw.setEf(ef);
    this.#ef = ef;
  }

  /** npm's build takes plain arrays only, which costs a call into Node for each number; one array serves all calls. */
  #given(query: Float32Array): GivenVector {
    if (hnswlib.takesFloat32Array) return query;
    for (let i = 0; i < query.length; i++) this.#scratch[i] = query[i] as number;
    return this.#scratch;
  }
}
