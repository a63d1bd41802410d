import { differentiate, encodeModel, GraphBuilder } from "../../onnx/index.js";
import type { Metric } from "../../vector/metric.js";
import { graphOperations } from "../engines/graph-operations.js";
import type { Loss } from "../losses/loss.js";
import { adamWStep } from "../optimizer/adam-w.js";

export interface StepGraphOptions {
  dimensions: number;
  /** Lines of a batch, n. */
  batchSize: number;
  metric: Metric;
  loss: Loss;
}

/**
 * One training step of a linear head as an ONNX model: forward, loss, backward and AdamW.
 *
 * The head is I + deviation, and the deviation is what is trained: it starts at 0, the identity, and AdamW's decay
 * pulls it back there, so the decay is the penalty on the distance from the identity.
 *
 * In: `rows` (3n, d): base vectors of n anchors, their positives, their negatives; `negatives` (n, 3n), see `LossInput`;
 * `deviation`, `mean`, `variance` (d, d); scalars `margin`, `stepSize`, `rootCorrection`, `keep` (see `adamWFactors`).
 * Out: `loss` (scalar), `nextDeviation`, `nextMean`, `nextVariance` (d, d).
 */
export function stepModel({ dimensions: d, batchSize: n, metric, loss }: StepGraphOptions): Uint8Array {
  const graph = new GraphBuilder("head_training_step");
  const ops = graphOperations(graph);
  const scalar = (name: string) => graph.input(name, "float32", []);
  const rows = graph.input("rows", "float32", [3 * n, d]);
  const negatives = graph.input("negatives", "float32", [n, 3 * n]);
  const state = {
    parameter: graph.input("deviation", "float32", [d, d]),
    mean: graph.input("mean", "float32", [d, d]),
    variance: graph.input("variance", "float32", [d, d]),
  };
  const candidates = ops.add(rows, ops.matMul(rows, state.parameter));
  const input = {
    anchors: ops.rows(candidates, 0, n),
    positives: ops.rows(candidates, n, 2 * n),
    candidates,
    negatives,
  };
  const value = loss(ops, input, { metric, margin: scalar("margin") });
  const [gradient] = differentiate(graph, value, [state.parameter]);
  if (gradient === undefined) throw new Error("differentiate returned no gradient for the one parameter");
  const factors = { stepSize: scalar("stepSize"), rootCorrection: scalar("rootCorrection"), keep: scalar("keep") };
  const next = adamWStep(ops, state, gradient, factors);
  graph.output(value, "loss");
  graph.output(next.parameter, "nextDeviation");
  graph.output(next.mean, "nextMean");
  graph.output(next.variance, "nextVariance");
  return encodeModel(graph.model());
}
