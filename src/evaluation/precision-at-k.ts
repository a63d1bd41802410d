import { checkK } from "./check-k.js";

/**
 * Precision@k: the share of relevant items among the first `k` results, 0 to 1. Fewer than `k` results count as if the
 * missing ones were irrelevant.
 * @param retrieved results of one query, nearest first
 * @param k at least 1
 */
export function precisionAtK<T>(retrieved: readonly T[], isRelevant: (item: T) => boolean, k: number): number {
  checkK(k);
  return retrieved.slice(0, k).filter(isRelevant).length / k;
}
