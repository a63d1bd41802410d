import type { Tensor, Tensor1D } from "@tensorflow/tfjs";
import type { TensorOperations } from "../tensor-operations.js";
import type { Tensorflow } from "./open-tensorflow.js";

/** Tensor operations that TensorFlow.js computes at once, and differentiates by its own record of them. */
export function tensorflowOperations(tf: Tensorflow): TensorOperations<Tensor> {
  return {
    add: (a, b) => tf.add(a, b),
    sub: (a, b) => tf.sub(a, b),
    mul: (a, b) => tf.mul(a, b),
    div: (a, b) => tf.div(a, b),
    atLeast: (a, lowest) => tf.maximum(a, lowest),
    sqrt: (a) => tf.sqrt(a),
    relu: (a) => tf.relu(a),
    softplus: (a) => tf.softplus(a),
    matMul: (a, b) => tf.matMul(a, b),
    transpose: (a) => tf.transpose(a),
    // A product with rows of one 1 each: the gradient of tf.gather needs UnsortedSegmentSum, which WebAssembly does not have. There
    // tf.oneHot gives right integers, but zeros when it is asked for float32.
    gatherRows: (a, positions) =>
      tf.matMul(tf.cast(tf.oneHot(positions as Tensor1D, a.shape[0] as number), "float32"), a),
    sumRows: (a) => tf.sum(a, 1, true),
    maxRows: (a) => tf.max(a, 1, true),
    logSumExpRows: (a) => tf.logSumExp(a, 1, true),
    sum: (a) => tf.sum(a),
    // Not tf.greater: on the path to a weight it has no gradient. The gradient of tf.step is 0.
    isPositive: (a) => tf.step(a),
  };
}
