/**
 * Rank of an item among others, starting at 1: one more than the number of strictly closer ones, plus half of the ties.
 * Half, so that an embedding that maps everything to one point ranks everything in the middle, not first.
 */
export function midRank(closer: number, tied: number): number {
  return 1 + closer + tied / 2;
}

/**
 * Mean natural logarithm of the ranks of one anchor's positives; smaller is better, 0 is perfect. The logarithm makes going
 * from rank 20 to 10 worth as much as from 2,000 to 1,000, so that no lost case outweighs the others.
 * @param ranks at least one, each at least 1
 */
export function logRank(ranks: ArrayLike<number>): number {
  if (ranks.length === 0) throw new RangeError("logRank needs at least one rank");
  let sum = 0;
  for (let i = 0; i < ranks.length; i++) sum += Math.log(ranks[i] as number);
  return sum / ranks.length;
}
