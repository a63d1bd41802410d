import { differentiate, encodeModel, GraphBuilder, type ModelProto, scanModel } from "../../onnx/index.js";
import type { Metric } from "../../vector/metric.js";
import { graphOperations } from "../engines/graph-operations.js";
import { batchLoss, type LossDefinition } from "../losses/index.js";
import { adamWStep } from "../optimizer/adam-w.js";
import type { FineTuneOptions } from "../task/options.js";
import { rowCapacity } from "./head-trainer.js";

export interface StepGraphOptions {
  dimensions: number;
  /** Anchors of a batch, n. */
  batchSize: number;
  metric: Metric;
  loss: LossDefinition;
  batchNegatives: FineTuneOptions["batchNegatives"];
}

/**
 * One training step of a linear head as an ONNX model: forward, loss, backward and AdamW.
 *
 * The head is I + deviation, and the deviation is what is trained: it starts at 0, the identity, and AdamW's decay
 * pulls it back there, so the decay is the penalty on the distance from the identity.
 *
 * In: `table` (t, d), base vectors; `items` (R, int32), the batch's rows of it, and `negatives` (n, R): see `RowsByRole`;
 * `deviation`, `mean`, `variance` (d, d); scalars `margin`, `temperature`, `stepSize`, `epsilon`, `keep` (see `adamWFactors`).
 * Out: `loss` (scalar), `nextDeviation`, `nextMean`, `nextVariance` (d, d).
 */
export function stepModel(options: StepGraphOptions): Uint8Array {
  return encodeModel(step(options));
}

/** What a step changes, and the outputs that hold it afterwards. */
export const STATE = { deviation: "nextDeviation", mean: "nextMean", variance: "nextVariance" } as const;
/** Inputs that each step has its own of. */
const OF_EACH_STEP = ["items", "negatives", "stepSize", "epsilon"];

/**
 * Several steps as one model, the same bits as one after the other: `items`, `negatives`, `stepSize`, `epsilon` and `loss` have one more
 * dimension in front, the steps. Handing the state out and in again for each step took a fifth of the step's time,
 * and the garbage collector's time on top.
 */
export function stepsModel(options: StepGraphOptions): Uint8Array {
  return encodeModel(scanModel(step(options), { state: STATE, each: OF_EACH_STEP }));
}

function step(options: StepGraphOptions): ModelProto {
  const { dimensions: d, batchSize: n, metric, loss, batchNegatives } = options;
  const graph = new GraphBuilder("head_training_step");
  const ops = graphOperations(graph);
  const scalar = (name: string) => graph.input(name, "float32", []);
  const rows = rowCapacity(n);
  const base = ops.gatherRows(graph.input("table", "float32", ["t", d]), graph.input("items", "int32", [rows]));
  const run = (first: number) =>
    graph.constant(
      Array.from({ length: n }, (_, i) => first + i),
      "int32",
    );
  const state = {
    parameter: graph.input("deviation", "float32", [d, d]),
    mean: graph.input("mean", "float32", [d, d]),
    variance: graph.input("variance", "float32", [d, d]),
  };
  const batch = {
    rows: ops.add(base, ops.matMul(base, state.parameter)),
    anchors: run(0),
    positives: run(n),
    negatives: graph.input("negatives", "float32", [n, rows]),
  };
  const settings = { metric, margin: scalar("margin"), temperature: scalar("temperature"), batchNegatives };
  const value = batchLoss(ops, loss, batch, settings);
  const [gradient] = differentiate(graph, value, [state.parameter]);
  if (gradient === undefined) throw new Error("differentiate returned no gradient for the one parameter");
  const factors = { stepSize: scalar("stepSize"), epsilon: scalar("epsilon"), keep: scalar("keep") };
  const next = adamWStep(ops, state, gradient, factors);
  graph.output(value, "loss");
  graph.output(next.parameter, "nextDeviation");
  graph.output(next.mean, "nextMean");
  graph.output(next.variance, "nextVariance");
  return graph.model();
}
