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

export interface SearchShape {
  dimensions: number;
  /** Live labels that qualify. */
  matches: number;
  /** Live labels. */
  live: number;
  /** max(efSearch, k). */
  breadth: number;
  filtered: boolean;
  /** Only a comparison will do. */
  exact: boolean;
}

export interface SearchPlan {
  /** Whether to compare with every match instead of walking the graph. */
  compares: boolean;
  /** In the microseconds of the costs. */
  cost: number;
}

/**
 * The way of searching that is expected to be cheaper. Unfiltered it compares when matches are few: a walk would keep a quarter of them
 * anyway. Filtered, a walk goes on until enough of what it meets matches, so its cost grows with live / matches, up to a visit of every point;
 * comparing grows with matches.
 */
export function planSearch(shape: SearchShape, costs: SearchCosts): SearchPlan {
  const { dimensions, matches, live, breadth, filtered, exact } = shape;
  const visited = filtered ? Math.min(live, (breadth * live) / Math.max(matches, 1)) : breadth;
  const walk = visited * (costs.visit + dimensions * costs.visitNumber);
  const comparison = matches * (costs.row + dimensions * costs.rowNumber);
  const compares = exact || breadth * 4 >= matches || (filtered && comparison <= walk);
  return { compares, cost: compares ? comparison : walk };
}
