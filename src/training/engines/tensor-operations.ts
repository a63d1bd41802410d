/**
 * The few tensor operations that losses and the optimizer are written in, so that every training engine runs the same
 * definition. `T` is the engine's tensor; float32 throughout, but for the positions of `gatherRows`; binary operations
 * broadcast as numpy's do.
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
  /** log(1 + exp(a)), without overflow. */
  softplus(a: T): T;
  matMul(a: T, b: T): T;
  /** Transpose of a matrix. */
  transpose(a: T): T;
  /** Rows of a matrix at integer positions (int32), which may repeat: (m, d) and (n) to (n, d). */
  gatherRows(a: T, positions: T): T;
  /** Sum over each row of a matrix: (n, d) to (n, 1). */
  sumRows(a: T): T;
  /** Largest element of each row of a matrix: (n, d) to (n, 1). Never differentiated. */
  maxRows(a: T): T;
  /** log(sum(exp(a))) over each row of a matrix, without overflow: (n, d) to (n, 1). */
  logSumExpRows(a: T): T;
  /** Sum of all elements, a scalar. */
  sum(a: T): T;
  /** 1 where `a` is above 0, else 0. A constant to differentiation. */
  isPositive(a: T): T;
}
