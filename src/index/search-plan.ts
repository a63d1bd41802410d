/**
 * Which way a search goes: through the graph, or by comparing with every row that qualifies. The constants are
 * microseconds measured on one core of a 2-core x64 machine with hnswlib-node 3 as npm builds it; only their ratios
 * matter, and either way gives a right answer.
 */
const SCAN_ROW_US = 0.8;
const SCAN_NUMBER_US = 0.0024;
const VISIT_US = 0.3;
const VISIT_NUMBER_US = 0.002;
/** Points that a filtered walk tests, for each match among the `efSearch` it keeps, times live / matches. */
const VISITS_PER_BREADTH = 2.5;

export interface SearchShape {
  dimensions: number;
  /** Live labels that qualify. */
  matches: number;
  /** Live labels. */
  live: number;
  /** max(efSearch, k). */
  breadth: number;
  filtered: boolean;
}

/**
 * True when comparing with every match is expected to be cheaper. Unfiltered: when the walk would keep a quarter of
 * all points anyway. Filtered: a walk goes on until enough of what it meets matches, so its cost grows with
 * live / matches, up to a visit of every point; comparing grows with matches.
 */
export function prefersScan({ dimensions, matches, live, breadth, filtered }: SearchShape): boolean {
  if (breadth * 4 >= matches) return true;
  if (!filtered) return false;
  const visited = Math.min(live, (VISITS_PER_BREADTH * breadth * live) / matches);
  const walk = visited * (VISIT_US + dimensions * VISIT_NUMBER_US);
  const scan = matches * (SCAN_ROW_US + dimensions * SCAN_NUMBER_US);
  return scan <= walk;
}
