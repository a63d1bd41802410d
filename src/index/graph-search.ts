import type { MetricSpace, SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import type { GraphNodes } from "./graph-nodes.js";
import { type HierarchicalNSW, hasNativeSearch, hnswlib, type NativeGraph } from "./hnswlib.js";
import { NativeSearch } from "./native-search.js";
import { StockSearch } from "./stock-search.js";

/** The walk of a graph to what is nearest to a query. */
export interface GraphSearch {
  /**
   * About the `k` nearest living labels to a preprocessed query, nearest first; fewer than `k` when the walk does not reach enough.
   *
   * @param k from 1 to what the graph holds living
   * @param breadth efSearch, at least `k`
   * @param allow only labels of this set
   */
  search(query: Float32Array, k: number, breadth: number, allow?: Bitmap): SearchHits;
}

/** The walk by the best that the build of hnswlib-node at hand offers. */
export function searchOf(hnsw: HierarchicalNSW, nodes: GraphNodes, space: MetricSpace): GraphSearch {
  if (hasNativeSearch(hnswlib)) {
    const native = hnsw as NativeGraph;
    return new NativeSearch((...search) => native.searchNodes(...search), nodes, space);
  }
  return new StockSearch(hnsw, nodes, space);
}
