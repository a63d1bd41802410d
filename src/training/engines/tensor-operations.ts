/**
 * The few tensor operations that losses and the optimizer are written in, so that every training engine runs the same
 * definition. `T` is the engine's tensor; float32 throughout; binary operations broadcast as numpy's do.
 */
export interface TensorOperations<T> {
  add(a: T, b: T | number): T;
  sub(a: T, b: T | number): T;
  mul(a: T, b: T | number): T;
  div(a: T, b: T): T;
  /** The larger of `a` and a constant; where the constant is larger, no gradient flows. */
  atLeast(a: T, lowest: number): T;
  sqrt(a: T): T;
  relu(a: T): T;
  matMul(a: T, b: T): T;
  /** Transpose of a matrix. */
  transpose(a: T): T;
  /** Rows `start` to `end` (exclusive) of a matrix. */
  rows(a: T, start: number, end: number): T;
  /** Sum over each row of a matrix: (n, d) to (n, 1). */
  sumRows(a: T): T;
  /** Sum of all elements, a scalar. */
  sum(a: T): T;
  /** 1 where `a` is above 0, else 0. A constant to differentiation. */
  isPositive(a: T): T;
}
