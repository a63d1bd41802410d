import { checkK } from "./check-k.js";

/**
 * Reciprocal rank of the first relevant result within the first `k`, 0 when there is none; its mean over queries is
 * MRR@k.
 * @param retrieved results of one query, nearest first
 * @param k at least 1
 */
export function mrrAtK<T>(retrieved: readonly T[], isRelevant: (item: T) => boolean, k: number): number {
  checkK(k);
  const position = retrieved.slice(0, k).findIndex(isRelevant);
  return position < 0 ? 0 : 1 / (position + 1);
}
