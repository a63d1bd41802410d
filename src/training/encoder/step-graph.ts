import { differentiate, GraphBuilder, type Value } from "../../onnx/index.js";
import type { Metric } from "../../vector/metric.js";
import { graphOperations } from "../engines/graph-operations.js";
import { batchLoss, LOSSES } from "../losses/index.js";
import type { Recipe } from "../losses/recipe.js";
import { type AdamWFactors, adamWStep } from "../optimizer/adam-w.js";
import type { FineTuneOptions } from "../task/options.js";
import { EncoderGraph, type TunableEncoder } from "./encoder-graph.js";

/** One loss of a step. The step's loss is the sum of them, each times its weight. */
export interface Objective {
  /** What its rate is, is no matter here. */
  recipe: Recipe;
  /** Above 0. */
  weight: number;
  batchNegatives: FineTuneOptions["batchNegatives"];
}

export interface StepGraphOptions {
  encoder: TunableEncoder;
  metric: Metric;
  /** Distance units of the collection that count as 1 in losses: 1 under cosine. */
  scale: number;
  objectives: readonly Objective[];
  /** The gradient's norm over all weights is limited to this. */
  gradientClip: number;
}

/*
 * Names in the graphs below. In: `weight_I`, `mean_I`, `variance_I` of trained weight I and AdamW's moments; `part_K/...` the
 * encoder's inputs; `anchors_J`, `positives_J` (int32, n) and `negatives_J` (n, rows) of objective J; scalars `stepSize`,
 * `epsilon`, `keep` (see `adamWFactors`). Out: `loss`, `gradientNorm` (before clipping), `nextWeight_I`, `nextMean_I`, `nextVariance_I`.
 */

/**
 * A whole training step: encoder, losses, their gradient, clipping and AdamW.
 * @param parts a batch is embedded in this many parts, each padded for itself
 */
export function wholeStepGraph(options: StepGraphOptions, parts: number): GraphBuilder {
  const encoder = new EncoderGraph("encoder_training_step", options.encoder);
  const { graph } = encoder;
  const embedded = Array.from({ length: parts }, (_, part) => encoder.embed(part));
  const rows = graph.withShape(graph.concat(embedded, 0), ["rows", options.encoder.dimensions]);
  const loss = stepLoss(graph, rows, options);
  graph.output(loss, "loss");
  update(graph, options, encoder.weights, differentiate(graph, loss, encoder.weights));
  return graph;
}

/** The encoder alone: `part_0/...` to `embeddings` (rows, d). */
export function embedGraph(encoder: TunableEncoder): GraphBuilder {
  const applied = new EncoderGraph("encoder", encoder);
  applied.graph.output(applied.embed(0), "embeddings");
  return applied.graph;
}

/** The losses of rows embedded before: `embeddings` (rows, d) to `loss` and its gradient `cotangent` (rows, d). */
export function lossGraph(options: StepGraphOptions): GraphBuilder {
  const graph = new GraphBuilder("encoder_loss");
  const embeddings = graph.input("embeddings", "float32", ["rows", options.encoder.dimensions]);
  const loss = stepLoss(graph, embeddings, options);
  const [cotangent] = differentiate(graph, loss, [embeddings]);
  if (cotangent === undefined) throw new Error("differentiate gave no gradient for the one parameter");
  graph.output(loss, "loss");
  graph.output(cotangent, "cotangent");
  return graph;
}

/**
 * The gradient of one part of a batch, added to that of the parts before: `part_0/...`, its `cotangent` (rows, d) and `gradient_I` to
 * `nextGradient_I`. With y the embeddings, the gradient of sum(y * cotangent) with respect to a weight is the part's share of the loss's.
 */
export function partGraph(encoder: TunableEncoder): GraphBuilder {
  const applied = new EncoderGraph("encoder_part", encoder);
  const { graph, weights } = applied;
  const embedded = applied.embed(0);
  const cotangent = graph.input("cotangent", "float32", ["rows_0", encoder.dimensions]);
  const gradients = differentiate(graph, graph.reduceSum(graph.mul(embedded, cotangent)), weights);
  gradients.forEach((gradient, i) => {
    const sum = graph.input(`gradient_${i}`, "float32", encoder.trained.weights[i]?.shape ?? []);
    graph.output(graph.add(sum, gradient), `nextGradient_${i}`);
  });
  return graph;
}

/** The optimizer alone: `gradient_I`, weights and moments to their next values. */
export function updateGraph(options: StepGraphOptions): GraphBuilder {
  const graph = new GraphBuilder("encoder_update");
  const inputs = (name: string) =>
    options.encoder.trained.weights.map(({ shape }, i) => graph.input(`${name}_${i}`, "float32", shape));
  update(graph, options, inputs("weight"), inputs("gradient"));
  return graph;
}

/** The weighted sum of the objectives over embedded rows, a scalar. */
function stepLoss(graph: GraphBuilder, rows: Value, { metric, scale, objectives }: StepGraphOptions): Value {
  const ops = graphOperations(graph);
  const scaled = scale === 1 ? rows : graph.mul(rows, 1 / scale);
  const terms = objectives.map(({ recipe, weight, batchNegatives }, j) => {
    const batch = {
      rows: scaled,
      anchors: graph.input(`anchors_${j}`, "int32", [`anchors_${j}`]),
      positives: graph.input(`positives_${j}`, "int32", [`anchors_${j}`]),
      negatives: graph.input(`negatives_${j}`, "float32", [`anchors_${j}`, "rows"]),
    };
    const [margin, temperature] = [graph.constant(recipe.margin), graph.constant(recipe.temperature)];
    const settings = { metric, margin, temperature, batchNegatives };
    const loss = graph.scope(recipe.loss, () => batchLoss(ops, LOSSES[recipe.loss], batch, settings));
    return weight === 1 ? loss : graph.mul(loss, weight);
  });
  return terms.length === 1 && terms[0] ? terms[0] : graph.sum(terms);
}

/** Clips the gradients by their common norm (Pascanu, Mikolov, Bengio 2013) and lets AdamW take its step. */
function update(
  graph: GraphBuilder,
  { encoder, gradientClip }: StepGraphOptions,
  weights: readonly Value[],
  gradients: readonly Value[],
): void {
  graph.scope("update", () => {
    const ops = graphOperations(graph);
    const scalar = (name: string) => graph.input(name, "float32", []);
    const factors: AdamWFactors<Value> = {
      stepSize: scalar("stepSize"),
      epsilon: scalar("epsilon"),
      keep: scalar("keep"),
    };
    const norm = graph.sqrt(graph.sum(gradients.map((gradient) => sumOfSquares(graph, gradient))));
    const clip = graph.div(gradientClip, graph.max(norm, gradientClip));
    graph.output(norm, "gradientNorm");
    encoder.trained.weights.forEach(({ shape, decays }, i) => {
      const [parameter, gradient] = [weights[i], gradients[i]];
      if (parameter === undefined || gradient === undefined) throw new Error(`Trained weight ${i} has no gradient`);
      const state = {
        parameter,
        mean: graph.input(`mean_${i}`, "float32", shape),
        variance: graph.input(`variance_${i}`, "float32", shape),
      };
      const keep = decays ? factors.keep : undefined;
      const next = adamWStep(ops, state, gradient, { ...factors, keep }, clip);
      graph.output(next.parameter, `nextWeight_${i}`);
      graph.output(next.mean, `nextMean_${i}`);
      graph.output(next.variance, `nextVariance_${i}`);
    });
  });
}

function sumOfSquares(graph: GraphBuilder, x: Value): Value {
  const [sum] = graph.node("ReduceSumSquare", [x], { keepdims: 0 }, [{ dtype: "float32", shape: [] }]);
  if (sum === undefined) throw new Error("ReduceSumSquare has an output");
  return sum;
}
