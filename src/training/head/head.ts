import { encodeModel, GraphBuilder } from "../../onnx/index.js";
import type { Metric } from "../../vector/metric.js";
import { graphOperations } from "../engines/graph-operations.js";
import { prepareRows } from "../losses/distances.js";

/** The d x d identity, row by row. */
export function identityWeights(dimensions: number): Float32Array {
  const weights = new Float32Array(dimensions * dimensions);
  for (let i = 0; i < dimensions; i++) weights[i * dimensions + i] = 1;
  return weights;
}

/** Whether weights are the d x d identity; the first number that differs ends the look. */
export function isIdentity(weights: Float32Array, dimensions: number): boolean {
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] !== (i % (dimensions + 1) === 0 ? 1 : 0)) return false;
  }
  return true;
}

/**
 * A linear projection head as an ONNX model: `base` (n, d) to `vector` (n, d) = base x weights, not normalised.
 * @param weights d x d, row by row: `weights[i * d + j]` leads from input i to output j
 */
export function headModel(weights: Float32Array, dimensions: number): Uint8Array {
  const graph = new GraphBuilder("projection_head");
  const base = graph.input("base", "float32", ["n", dimensions]);
  const matrix = graph.initializer("weights", { dtype: "float32", shape: [dimensions, dimensions], data: weights });
  graph.output(graph.matMul(base, matrix), "vector");
  return encodeModel(graph.model());
}

/**
 * Applies a head whose weights are an input, and prepares the result for comparison: `base` (n, d), `weights` (d, d) to
 * `embedded` (n, d), of unit length under cosine.
 */
export function embeddingModel(dimensions: number, metric: Metric): Uint8Array {
  const graph = new GraphBuilder("embedding");
  const base = graph.input("base", "float32", ["n", dimensions]);
  const weights = graph.input("weights", "float32", [dimensions, dimensions]);
  const ops = graphOperations(graph);
  graph.output(prepareRows(ops, metric, ops.matMul(base, weights)), "embedded");
  return encodeModel(graph.model());
}

/** What `embeddingModel` does after the head: `base` (n, d) to `embedded` (n, d). */
export function preparationModel(dimensions: number, metric: Metric): Uint8Array {
  const graph = new GraphBuilder("preparation");
  const base = graph.input("base", "float32", ["n", dimensions]);
  graph.output(prepareRows(graphOperations(graph), metric, graph.identity(base)), "embedded");
  return encodeModel(graph.model());
}

/**
 * How close n prepared queries are to m rows that are prepared on the way, after a head where there is one, larger is closer: `queries`
 * (n, d), `base` (m, d) and, with a head, `weights` (d, d) to `closeness` (n, m). Cosine: the cosine. Euclidean: q . x - |x|^2 / 2, which
 * orders as the distance does, since |q - x|^2 = |q|^2 - 2 (q . x - |x|^2 / 2).
 */
export function closenessModel(dimensions: number, metric: Metric, withHead: boolean): Uint8Array {
  const graph = new GraphBuilder("closeness");
  const queries = graph.input("queries", "float32", ["n", dimensions]);
  const base = graph.input("base", "float32", ["m", dimensions]);
  const ops = graphOperations(graph);
  const given = withHead ? ops.matMul(base, graph.input("weights", "float32", [dimensions, dimensions])) : base;
  const rows = prepareRows(ops, metric, given);
  let closeness = ops.matMul(queries, ops.transpose(rows));
  if (metric === "euclidean") {
    const squares = ops.transpose(ops.sumRows(ops.mul(rows, rows)));
    closeness = ops.sub(closeness, ops.mul(squares, 0.5));
  }
  graph.output(closeness, "closeness");
  return encodeModel(graph.model());
}
