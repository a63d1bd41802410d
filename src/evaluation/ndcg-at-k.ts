import { checkK } from "./check-k.js";

/**
 * Normalised discounted cumulative gain of one query with binary relevance, 0 to 1; 0 when nothing is relevant.
 * Formula: sum of 1 / log2(position + 1) over the relevant of the first `k` results, divided by the largest such sum that
 * `relevantCount` relevant items allow.
 * @param retrieved results of one query, nearest first
 * @param relevantCount relevant items in the whole collection
 * @param k at least 1
 * @see Jarvelin, Kekalainen 2002
 */
export function ndcgAtK<T>(
  retrieved: readonly T[],
  isRelevant: (item: T) => boolean,
  relevantCount: number,
  k: number,
): number {
  checkK(k);
  let gained = 0;
  let ideal = 0;
  for (let i = 0; i < k; i++) {
    const discount = 1 / Math.log2(i + 2);
    const item = retrieved[i];
    if (i < retrieved.length && isRelevant(item as T)) gained += discount;
    if (i < relevantCount) ideal += discount;
  }
  return ideal === 0 ? 0 : gained / ideal;
}
