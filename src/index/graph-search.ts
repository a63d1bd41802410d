import type { SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";

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
