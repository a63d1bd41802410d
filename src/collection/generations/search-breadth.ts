/** What efSearch is multiplied by, tried in this order. */
const BREADTHS = [1, 1.25, 1.5, 2, 3, 4];
/** From this breadth on a search takes twice as long or more: then recall may be a little below what it was, but not below `GOOD`. */
const DEAR = 2;
const GOOD = 0.98;

/** How much wider searches are, and what they find then. */
export interface Breadth {
  breadth: number;
  recall: number;
}

/**
 * The least breadth with which recall is not below `before`. Where that would more than double the time of a search, `GOOD` is enough: a
 * better graph is on its way.
 *
 * @param recallAt recall@10 with searches that much wider than efSearch; asked for wider and wider ones
 * @returns undefined when no breadth will do
 */
export async function chooseBreadth(
  recallAt: (breadth: number) => Promise<number>,
  before: number,
): Promise<Breadth | undefined> {
  for (const breadth of BREADTHS) {
    const least = breadth < DEAR ? before : Math.min(before, GOOD);
    const recall = await recallAt(breadth);
    if (recall >= least) return { breadth, recall };
  }
  return undefined;
}
