/** Distances nearer than this (relative) may be one distance, computed in float32 and in float64. */
const NEAR_TIE = 1e-5;

/** Whether the distances of two equal rows might be `a` and `b`, when one is hnswlib's and the other came by comparison. */
export function isNearTie(a: number, b: number): boolean {
  return Math.abs(a - b) <= NEAR_TIE * (1 + Math.min(a, b));
}
