import { AttuneError } from "../../errors/index.js";
import { meanOf } from "../../evaluation/index.js";
import { freeArray } from "../../vector/free-array.js";
import { allFinite } from "../../vector/maths.js";
import { BatchSampler } from "../batches/batch-sampler.js";
import { randomStream } from "../context.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import { checkpointInterval, EarlyStopping } from "../gate/early-stopping.js";
import { type Field, gains, type Judge } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import { WeightAverage } from "../optimizer/weight-average.js";
import type { LossPoint } from "../task/fine-tune-task.js";
import type { HeadContext } from "./head-context.js";
import type { HeadTrainer } from "./head-trainer.js";

/** What a training needs of the fine-tune that it belongs to. */
export interface TrainingContext
  extends Pick<HeadContext, "base" | "miner" | "options" | "start" | "task" | "judgedBy" | "pause"> {
  /** Told of each step, and of planned ones that are not made. */
  meter: { advance(steps: number): void; drop(steps: number): void };
}

/** What to train on, and for how long. */
export interface TrainingPlan {
  /** What is known. */
  graph: FeedbackGraph;
  lines: readonly TrainingLine[];
  /** Steps at most. */
  steps: number;
  /** Random stream that batches are drawn by: see `randomStream`. */
  stream: number;
}

export interface TrainedHead {
  /** d x d. */
  weights: Float32Array;
  steps: number;
  /** On the validation part, at the look that was kept; 0 without one. */
  gain: number;
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
 * Trains a head. What is looked at, and given in the end, is the moving mean of its weights: see `WeightAverage`.
 * @param validation where given, the head of the best look is returned, and training ends early when looks get no better
 * @throws fine_tune_failed when the loss or the weights are no finite numbers any more
 */
export async function trainHead(
  context: TrainingContext,
  trainer: HeadTrainer,
  plan: TrainingPlan,
  validation?: Validation,
): Promise<TrainedHead> {
  const { base, meter, miner, options, start, task } = context;
  const { graph, lines, steps } = plan;
  const curve: LossPoint[] = [];
  if (lines.length === 0) return { weights: start, steps: 0, gain: 0, curve };
  const sampler = new BatchSampler(graph, lines, miner, options, randomStream(task.seed, plan.stream));
  const look = validation && (await lookout(context, validation));
  const stopping = new EarlyStopping(start, PATIENCE);
  const interval = checkpointInterval(steps);
  const average = new WeightAverage(start.length);
  let averaged = start;
  const training = trainer.start(start);
  try {
    let losses: number[] = [];
    while (training.steps < steps) {
      const nextLook = Math.min(steps, training.steps + interval - (training.steps % interval));
      const count = Math.min(trainer.stepsAtOnce, nextLook - training.steps);
      const made = await training.advance(
        Array.from({ length: count }, () => sampler.next()),
        base,
      );
      const broken = made.findIndex((loss) => !Number.isFinite(loss));
      if (broken >= 0) throw diverged(training.steps - count + broken + 1, curve, trainer);
      losses.push(...made);
      meter.advance(count);
      await context.pause();
      if (training.steps < nextLook) continue;
      const point: LossPoint = { step: training.steps, loss: meanOf(losses) };
      losses = [];
      curve.push(point);
      const weights = await finiteWeights();
      averaged = average.add(weights);
      freeArray(weights);
      if (look === undefined) continue;
      point.validation = await look(averaged);
      if (!stopping.look(training.steps, point.validation, () => averaged)) break;
    }
    meter.drop(steps - training.steps);
    if (look !== undefined) {
      const { kept, steps: keptSteps, gain } = stopping.best;
      return { weights: kept, steps: keptSteps, gain, curve };
    }
    return { weights: averaged, steps: training.steps, gain: 0, curve };
  } finally {
    training.release();
  }

  async function finiteWeights(): Promise<Float32Array> {
    const weights = await training.weights();
    if (!allFinite(weights)) throw diverged(training.steps, curve, trainer);
    return weights;
  }
}

/** A function that tells the mean gain of given weights on the validation part, from the start of the training on. */
async function lookout(context: TrainingContext, { judge, judgements, field }: Validation) {
  const before = await judge.look(context.start, field, { judgements });
  return async (weights: Float32Array): Promise<number> => {
    const after = await judge.look(weights, field, { judgements });
    return meanOf(gains(before.ranks, after.ranks, context.judgedBy));
  };
}

function diverged(step: number, curve: readonly LossPoint[], trainer: HeadTrainer): AttuneError {
  const { loss, learningRate } = trainer.options.recipe;
  const points = curve.slice(-3).map((point) => `${point.loss.toPrecision(3)} up to step ${point.step}`);
  const before = points.length === 0 ? "" : `; the mean loss before was ${points.join(", ")}`;
  return new AttuneError(
    "fine_tune_failed",
    `The training diverged at step ${step}: the numbers are not finite any more (loss "${loss}", learningRate ${learningRate})` +
      `${before}. Use a smaller learningRate; the default is 3e-4`,
  );
}
