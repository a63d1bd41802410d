/** What efSearch is multiplied by, tried in this order. */
const BREADTHS = [1, 1.25, 1.5, 2, 3, 4];
/** Recall that may be given up, down to `GOOD`, rather than search wider: a better graph is on its way, and each step here costs a quarter more time or more. */
const SPARED = 0.01;
const GOOD = 0.98;
/** From this breadth on a search takes twice as long or more: then `GOOD` is enough. */
const DEAR = 2;

/** How much wider searches are, and what they find then. */
export interface Breadth {
  breadth: number;
  recall: number;
}

/**
 * The least breadth with which recall is what it was `before`, or a hundredth less and still `GOOD`. Where that would double the time of a search,
 * `GOOD` is enough.
 *
 * @param recallAt recall@10 with searches that much wider than efSearch; asked for wider and wider ones
 * @returns undefined when no breadth will do
 */
export async function chooseBreadth(
  recallAt: (breadth: number) => Promise<number>,
  before: number,
): Promise<Breadth | undefined> {
  for (const breadth of BREADTHS) {
    const spared = breadth < DEAR ? Math.max(before - SPARED, GOOD) : GOOD;
    const least = Math.min(before, spared);
    const recall = await recallAt(breadth);
    if (recall >= least) return { breadth, recall };
  }
  return undefined;
}
