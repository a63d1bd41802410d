import { meanOf } from "../../evaluation/index.js";
import type { Random } from "../../vector/random.js";
import { BatchSampler } from "../batches/batch-sampler.js";
import type { FineTuneContext } from "../context.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import { checkpointInterval, EarlyStopping } from "../gate/early-stopping.js";
import { type Field, gains, type Judge } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import type { LossPoint } from "../task/fine-tune-task.js";

/** What to train on, and for how long. */
export interface TrainingPlan {
  /** What is known. */
  graph: FeedbackGraph;
  lines: readonly TrainingLine[];
  /** Steps at most. */
  steps: number;
  random: Random;
}

export interface TrainedHead {
  /** d x d. */
  weights: Float32Array;
  steps: number;
  curve: LossPoint[];
}

/** What a training is looked at by while it runs. */
export interface Validation {
  judge: Judge;
  judgements: readonly Judgement[];
  field: Field;
}

/** Looks without a better one before a training is given up. */
const PATIENCE = 5;

/**
 * Trains a head.
 * @param validation where given, the head of the best look is returned, and training ends early when looks get no better
 */
export async function trainHead(
  context: FineTuneContext,
  plan: TrainingPlan,
  validation?: Validation,
): Promise<TrainedHead> {
  const { trainer, base, meter, miner, options, start } = context;
  const { graph, lines, steps, random } = plan;
  const curve: LossPoint[] = [];
  if (lines.length === 0) return { weights: start, steps: 0, curve };
  const sampler = new BatchSampler(graph, lines, miner, { batchSize: options.batchSize }, random);
  const look = validation && (await lookout(context, validation));
  const stopping = new EarlyStopping(start, PATIENCE);
  const interval = checkpointInterval(steps);
  const training = trainer.start(start);
  let losses: number[] = [];
  while (training.steps < steps) {
    losses.push(await training.step(sampler.next(), base));
    meter.advance(1);
    await context.pause();
    if (training.steps % interval !== 0 && training.steps < steps) continue;
    const point: LossPoint = { step: training.steps, loss: meanOf(losses) };
    losses = [];
    curve.push(point);
    if (look === undefined) continue;
    const weights = await training.weights();
    point.validation = await look(weights);
    if (!stopping.look(training.steps, point.validation, () => weights)) break;
  }
  meter.drop(steps - training.steps);
  const last = await training.weights();
  training.release();
  if (look === undefined) return { weights: last, steps: training.steps, curve };
  return { weights: stopping.best.kept, steps: stopping.best.steps, curve };
}

/** A function that tells the mean gain of given weights on the validation part, from the start of the training on. */
async function lookout(context: FineTuneContext, { judge, judgements, field }: Validation) {
  const before = await judge.look(context.start, field, { judgements });
  return async (weights: Float32Array): Promise<number> => {
    const after = await judge.look(weights, field, { judgements });
    return meanOf(gains(before.ranks, after.ranks, context.judgedBy));
  };
}
