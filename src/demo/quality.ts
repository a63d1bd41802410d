import type { CollectionClient } from "../client/index.js";
import { mrrAtK, precisionAtK, recallAtK } from "../evaluation/index.js";
import type { Emoji } from "./emoji.js";

/** How well a search for an emoji finds others of its subgroup. */
export interface Quality {
  recallAt1: number;
  precisionAt10: number;
  mrrAt10: number;
}

const BATCH = 200;

/** Means over the held-out emoji, each searched for among all. */
export async function measureQuality(
  collection: CollectionClient,
  all: readonly Emoji[],
  heldOut: readonly Emoji[],
): Promise<Quality> {
  const subgroups = new Map(all.map(({ id, subgroup }) => [id, subgroup]));
  const sums: Quality = { recallAt1: 0, precisionAt10: 0, mrrAt10: 0 };
  for (let i = 0; i < heldOut.length; i += BATCH) {
    const batch = heldOut.slice(i, i + BATCH);
    const queries = batch.map(({ id }) => ({ itemId: id, k: 10, exact: true, withPayload: false }));
    const { results } = await collection.queryBatch(queries);
    for (const [j, { subgroup }] of batch.entries()) {
      const found = (results[j] ?? []).map(({ id }) => id);
      const isRelevant = (id: string) => subgroups.get(id) === subgroup;
      sums.recallAt1 += recallAtK(found, isRelevant, 1);
      sums.precisionAt10 += precisionAtK(found, isRelevant, 10);
      sums.mrrAt10 += mrrAtK(found, isRelevant, 10);
    }
  }
  const count = Math.max(1, heldOut.length);
  return {
    recallAt1: sums.recallAt1 / count,
    precisionAt10: sums.precisionAt10 / count,
    mrrAt10: sums.mrrAt10 / count,
  };
}
