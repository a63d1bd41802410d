import type { GraphBuilder, Value } from "../../onnx/index.js";
import type { TensorOperations } from "./tensor-operations.js";

/** Tensor operations that add nodes to an ONNX graph. */
export function graphOperations(graph: GraphBuilder): TensorOperations<Value> {
  return {
    add: (a, b) => graph.add(a, b),
    sub: (a, b) => graph.sub(a, b),
    mul: (a, b) => graph.mul(a, b),
    div: (a, b) => graph.div(a, b),
    atLeast: (a, lowest) => graph.max(a, lowest),
    sqrt: (a) => graph.sqrt(a),
    relu: (a) => graph.relu(a),
    softplus: (a) => graph.softplus(a),
    matMul: (a, b) => graph.matMul(a, b),
    transpose: (a) => graph.transpose(a),
    gatherRows: (a, positions) => graph.gather(a, positions),
    sumRows: (a) => graph.reduceSum(a, [1], true),
    maxRows: (a) => graph.reduceMax(a, [1], true),
    logSumExpRows: (a) => graph.reduceLogSumExp(a, [1], true),
    sum: (a) => graph.reduceSum(a),
    isPositive: (a) => graph.cast(graph.greater(a, 0), "float32"),
  };
}
