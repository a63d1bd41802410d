/** What efSearch is multiplied by, tried in this order. */
const BREADTHS = [1, 1.25, 1.5, 2, 3, 4];
/**
 * Recall of items that may be given up, down to `GOOD`, rather than search much wider: a better graph is on its way. Queries, which are not in the graph, lose
 * more (100,000 x 512: items .0105, .0085 and .0055 at breadths 1, 1.5 and 2, queries .025, .011 and .003), so then searches are one step wider than that takes.
 */
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
 * The least breadth with which recall is what it was `before`; or below `DEAR` the one after the least with which it is at most `SPARED` less; or
 * from there on the least with which it is `GOOD`.
 *
 * @param recallAt recall@10 with searches that much wider than efSearch; asked for wider and wider ones
 * @returns undefined when no breadth will do
 */
export async function chooseBreadth(
  recallAt: (breadth: number) => Promise<number>,
  before: number,
): Promise<Breadth | undefined> {
  let near: Breadth | undefined;
  for (const breadth of BREADTHS) {
    if (near !== undefined && breadth >= DEAR) return near;
    const recall = await recallAt(breadth);
    const found = { breadth, recall };
    if (near !== undefined || recall >= Math.min(before, breadth < DEAR ? 1 : GOOD)) return found;
    if (recall >= Math.max(before - SPARED, GOOD)) near = found;
  }
  return undefined;
}
