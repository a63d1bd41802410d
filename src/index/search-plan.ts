/**
 * What ways of searching cost, in microseconds of one core of a 2-core x64 machine with hnswlib-node 3; only their ratios matter, and
 * either way gives a right answer.
 */
export interface SearchCosts {
  /** Comparing with a row: this, and so much for each dimension. */
  row: number;
  rowNumber: number;
  /** Coming to a point that a walk keeps, with those around it that it compares and leaves: this, and so much for each dimension. */
  visit: number;
  visitNumber: number;
}

/** As npm builds it: rows are compared in JavaScript, and a walk asks a callback for each point. */
export const STOCK_COSTS: SearchCosts = { row: 0.8, rowNumber: 0.0024, visit: 0.75, visitNumber: 0.005 };
/** With our additions (src/setup/hnswlib), at 100,000 x 100 and x 512. */
export const NATIVE_COSTS: SearchCosts = { row: 0.03, rowNumber: 0.0003, visit: 0.4, visitNumber: 0.0085 };

/** What an unfiltered walk costs, in the microseconds of `costs`. */
export function walkCost(breadth: number, dimensions: number, costs: SearchCosts): number {
  return breadth * (costs.visit + dimensions * costs.visitNumber);
}

/** What comparing with so many rows costs, in the microseconds of `costs`. */
export function scanCost(rows: number, dimensions: number, costs: SearchCosts): number {
  return rows * (costs.row + dimensions * costs.rowNumber);
}

/** True when every match is compared rather than walked to, whatever it costs: the walk would keep a quarter of them anyway. */
export function isSmall(matches: number, breadth: number): boolean {
  return breadth * 4 >= matches;
}

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
 * True when comparing with every match is expected to be cheaper. Unfiltered: when they are few. Filtered: a walk goes on until enough of what it meets matches, so its cost grows with
 * live / matches, up to a visit of every point; comparing grows with matches.
 */
export function prefersScan(
  { dimensions, matches, live, breadth, filtered }: SearchShape,
  costs: SearchCosts,
): boolean {
  if (isSmall(matches, breadth)) return true;
  if (!filtered) return false;
  const visited = Math.min(live, (breadth * live) / matches);
  const walk = walkCost(visited, dimensions, costs);
  return scanCost(matches, dimensions, costs) <= walk;
}
