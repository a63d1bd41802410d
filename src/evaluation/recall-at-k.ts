import { checkK } from "./check-k.js";

/**
 * Recall@k as metric learning counts it: 1 when at least one of the first `k` results is relevant, else 0. (Retrieval's
 * other recall, the share of all relevant items found, says little where hundreds are relevant and `k` is small.)
 * @param retrieved results of one query, nearest first
 * @param k at least 1
 * @see Jegou, Douze, Schmid 2011, and Oh Song et al. 2016, section 5.1
 */
export function recallAtK<T>(retrieved: readonly T[], isRelevant: (item: T) => boolean, k: number): number {
  checkK(k);
  return retrieved.slice(0, k).some(isRelevant) ? 1 : 0;
}
