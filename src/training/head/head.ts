import { encodeModel, GraphBuilder, type Value } from "../../onnx/index.js";
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
 * How close each of n queries is to each of m embedded rows, larger is closer: `queries` (n, d), `embedded` (m, d) to
 * `closeness` (n, m). Cosine: the cosine. Euclidean: q . x - |x|^2 / 2, which orders as the distance does, since
 * |q - x|^2 = |q|^2 - 2 (q . x - |x|^2 / 2).
 */
export function closenessModel(dimensions: number, metric: Metric): Uint8Array {
  const graph = new GraphBuilder("closeness");
  const queries = graph.input("queries", "float32", ["n", dimensions]);
  const embedded = graph.input("embedded", "float32", ["m", dimensions]);
  graph.output(closenessTo(graph, metric, queries, embedded), "closeness");
  return encodeModel(graph.model());
}

/**
 * How close embedded queries are to rows that are embedded on the way, which never leave the runtime: `queries` (n, d), `base` (m, d) and,
 * with a head, `weights` (d, d) to `closeness` (n, m).
 */
export function scanModel(dimensions: number, metric: Metric, withHead: boolean): Uint8Array {
  const graph = new GraphBuilder("scan");
  const queries = graph.input("queries", "float32", ["n", dimensions]);
  const base = graph.input("base", "float32", ["m", dimensions]);
  const ops = graphOperations(graph);
  const rows = withHead ? ops.matMul(base, graph.input("weights", "float32", [dimensions, dimensions])) : base;
  graph.output(closenessTo(graph, metric, queries, prepareRows(ops, metric, rows)), "closeness");
  return encodeModel(graph.model());
}

function closenessTo(graph: GraphBuilder, metric: Metric, queries: Value, embedded: Value): Value {
  const ops = graphOperations(graph);
  const products = ops.matMul(queries, ops.transpose(embedded));
  if (metric === "cosine") return products;
  const squares = ops.transpose(ops.sumRows(ops.mul(embedded, embedded)));
  return ops.sub(products, ops.mul(squares, 0.5));
}
