import type { Metric } from "../../vector/metric.js";
import type { TensorOperations } from "../engines/tensor-operations.js";

/** Below this squared norm a row counts as zero: it has no direction, and gets no gradient. */
const TINY = 1e-24;
/** Added under the square root of the Euclidean distance, whose gradient has no bound at 0. */
const EPSILON = 1e-12;

/** Each row divided by its L2 norm; a zero row stays zero. */
export function unitRows<T>(ops: TensorOperations<T>, x: T): T {
  const squares = ops.sumRows(ops.mul(x, x));
  const isThere = ops.isPositive(ops.sub(squares, TINY));
  return ops.mul(x, ops.div(isThere, ops.sqrt(ops.atLeast(squares, TINY))));
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
  if (metric === "cosine") return oneMinus(ops, rowProducts(ops, a, b));
  return ops.sqrt(ops.add(rowSquares(ops, a, b), EPSILON));
}

/** Distance of each row of `a` (n, d) to each row of `b` (m, d), both prepared: (n, m). */
export function pairwiseDistances<T>(ops: TensorOperations<T>, metric: Metric, a: T, b: T): T {
  if (metric === "cosine") return oneMinus(ops, pairwiseProducts(ops, a, b));
  return ops.sqrt(ops.add(pairwiseSquares(ops, a, b), EPSILON));
}

/** Inner product of row i of `a` with row i of `b`, both (n, d): (n, 1). */
export function rowProducts<T>(ops: TensorOperations<T>, a: T, b: T): T {
  return ops.sumRows(ops.mul(a, b));
}

/** Inner product of each row of `a` (n, d) with each row of `b` (m, d): (n, m). */
export function pairwiseProducts<T>(ops: TensorOperations<T>, a: T, b: T): T {
  return ops.matMul(a, ops.transpose(b));
}

/** Squared Euclidean distance of row i of `a` to row i of `b`: (n, 1). */
export function rowSquares<T>(ops: TensorOperations<T>, a: T, b: T): T {
  const difference = ops.sub(a, b);
  return rowProducts(ops, difference, difference);
}

/** Squared Euclidean distance of each row of `a` to each row of `b`: (n, m). */
export function pairwiseSquares<T>(ops: TensorOperations<T>, a: T, b: T): T {
  const squares = ops.add(rowProducts(ops, a, a), ops.transpose(rowProducts(ops, b, b)));
  // Rounding can take the square of a small distance below 0.
  return ops.relu(ops.sub(squares, ops.mul(pairwiseProducts(ops, a, b), 2)));
}

function oneMinus<T>(ops: TensorOperations<T>, x: T): T {
  return ops.add(ops.mul(x, -1), 1);
}
