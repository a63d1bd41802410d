import { mean } from "./percentile.js";

/** Widths of search that are tried, one after the other, before those between the last two. */
const LADDER = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1000];

/** Mean share of what should be found that was found, query by query. */
export function meanRecall<T>(found: readonly ReadonlySet<T>[], expected: readonly ReadonlySet<T>[]): number {
  return mean(
    expected.map((wanted, i) => [...wanted].filter((each) => found[i]?.has(each)).length / Math.max(1, wanted.size)),
  );
}

/**
 * The smallest efSearch from k to 1,000 that reaches a recall, if recall grows with it: a ladder finds two between which it lies, and halving
 * the rest.
 *
 * @param recallAt measures the recall at an efSearch.
 * @throws Error when none does.
 */
export async function smallestEfSearch(
  k: number,
  wanted: number,
  recallAt: (efSearch: number) => Promise<number>,
): Promise<{ efSearch: number; recall: number }> {
  let below = k - 1;
  for (const efSearch of LADDER.filter((ef) => ef >= k)) {
    const recall = await recallAt(efSearch);
    if (recall >= wanted) return narrow(below, { efSearch, recall }, wanted, recallAt);
    below = efSearch;
  }
  throw new Error(`no efSearch up to ${LADDER.at(-1)} reaches recall ${wanted}`);
}

/** The smallest between `below`, which does not reach it, and `enough`, which does. */
async function narrow(
  below: number,
  enough: { efSearch: number; recall: number },
  wanted: number,
  recallAt: (efSearch: number) => Promise<number>,
): Promise<{ efSearch: number; recall: number }> {
  if (enough.efSearch - below <= 1) return enough;
  const efSearch = Math.floor((below + enough.efSearch) / 2);
  const recall = await recallAt(efSearch);
  return recall >= wanted
    ? narrow(below, { efSearch, recall }, wanted, recallAt)
    : narrow(efSearch, enough, wanted, recallAt);
}
