import type { NativeGraph } from "../native/index.js";
import { type MetricSpace, type SearchHits, smallFloat64 } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import type { GraphNodes } from "./graph-nodes.js";
import type { GraphSearch } from "./graph-search.js";

/** `NativeGraph.searchNodes`, of whatever graph. */
export type Walk = NativeGraph["searchNodes"];

/** Which label each node of a graph stands for, see `GraphNodes`. */
export type NodeLabels = Pick<GraphNodes, "count" | "living" | "maps">;

/** The maps that tell who lives and, with a set of labels, who is allowed; none where every node is. */
export function mapsOfLiving({ count, living, maps }: NodeLabels, allow?: Bitmap): Partial<NodeLabels["maps"]> {
  return count === living && allow === undefined ? {} : maps;
}

/** Searches by the additions to hnswlib-node: leaves tombstones and what is not allowed out while it walks; each still leads to its neighbours. */
export class NativeSearch implements GraphSearch {
  readonly #walk: Walk;
  readonly #nodes: NodeLabels;
  readonly #space: MetricSpace;
  #found = new Uint32Array(64);
  #distances = new Float32Array(64);

  constructor(walk: Walk, nodes: NodeLabels, space: MetricSpace) {
    this.#walk = walk;
    this.#nodes = nodes;
    this.#space = space;
  }

  search(query: Float32Array, k: number, breadth: number, allow?: Bitmap): SearchHits {
    if (this.#found.length < k) {
      this.#found = new Uint32Array(2 * k);
      this.#distances = new Float32Array(2 * k);
    }
    const { maps } = this.#nodes;
    const { labelOf, nodeOf } = mapsOfLiving(this.#nodes, allow);
    const found = this.#walk(query, k, breadth, labelOf, nodeOf, allow?.words, this.#found, this.#distances);
    return hitsOf(this.#found, this.#distances, found, maps.labelOf, this.#space);
  }
}

/** The first `count` nodes and their distances as hits. */
export function hitsOf(
  nodes: Uint32Array,
  distances: Float32Array,
  count: number,
  labelOf: Uint32Array,
  space: MetricSpace,
): SearchHits {
  const hits = { labels: new Uint32Array(count), distances: smallFloat64(count) };
  for (let i = 0; i < count; i++) {
    hits.labels[i] = labelOf[nodes[i] as number] as number;
    hits.distances[i] = space.fromHnsw(distances[i] as number);
  }
  return hits;
}
