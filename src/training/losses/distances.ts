import type { Metric } from "../../vector/metric.js";
import type { TensorOperations } from "../engines/tensor-operations.js";

/** Below this squared norm a row counts as zero: it keeps its gradient finite. */
const TINY = 1e-24;
/** Added under the square root of the Euclidean distance, whose gradient has no bound at 0. */
const EPSILON = 1e-12;

/** Each row divided by its L2 norm; a zero row stays zero. */
export function unitRows<T>(ops: TensorOperations<T>, x: T): T {
  return ops.div(x, ops.sqrt(ops.atLeast(ops.sumRows(ops.mul(x, x)), TINY)));
}

/**
 * Rows as the distances of a metric take them: cosine wants unit rows, euclidean takes them as they are.
 * @param x (n, d)
 */
export function prepareRows<T>(ops: TensorOperations<T>, metric: Metric, x: T): T {
  return metric === "cosine" ? unitRows(ops, x) : x;
}

/** Distance of row i of `a` to row i of `b`, both (n, d) and prepared: (n, 1). */
export function rowDistances<T>(ops: TensorOperations<T>, metric: Metric, a: T, b: T): T {
  if (metric === "cosine") return oneMinus(ops, ops.sumRows(ops.mul(a, b)));
  const difference = ops.sub(a, b);
  return ops.sqrt(ops.add(ops.sumRows(ops.mul(difference, difference)), EPSILON));
}

/** Distance of each row of `a` (n, d) to each row of `b` (m, d), both prepared: (n, m). */
export function pairwiseDistances<T>(ops: TensorOperations<T>, metric: Metric, a: T, b: T): T {
  const products = ops.matMul(a, ops.transpose(b));
  if (metric === "cosine") return oneMinus(ops, products);
  const squares = ops.add(ops.sumRows(ops.mul(a, a)), ops.transpose(ops.sumRows(ops.mul(b, b))));
  // Rounding can take the square of a small distance below 0.
  return ops.sqrt(ops.add(ops.relu(ops.sub(squares, ops.mul(products, 2))), EPSILON));
}

function oneMinus<T>(ops: TensorOperations<T>, x: T): T {
  return ops.add(ops.mul(x, -1), 1);
}
