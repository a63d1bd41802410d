/** Distances of one triplet: anchor to positive, anchor to negative. */
export interface TripletDistances {
  positive: number;
  negative: number;
}

/**
 * Share of triplets whose positive is closer to the anchor than its negative, 0 to 1; a tie counts one half. 0 when there
 * is no triplet.
 */
export function tripletAccuracy(triplets: readonly TripletDistances[]): number {
  if (triplets.length === 0) return 0;
  let right = 0;
  for (const { positive, negative } of triplets) right += positive < negative ? 1 : positive === negative ? 0.5 : 0;
  return right / triplets.length;
}
