import { meanOf } from "../../evaluation/index.js";
import { EarlyStopping } from "../gate/early-stopping.js";
import { gains } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import { identityWeights } from "../head/head.js";
import type { JudgedBy } from "../task/fine-tune-task.js";
import type { BatchSource } from "./batch-source.js";
import { encodeRows, judgeOf, sampledField } from "./encoded-rows.js";
import type { EncoderContext } from "./encoder-context.js";
import { type EncoderState, numbersOf, release, startingState, stateOf, weightsOf } from "./encoder-state.js";
import type { EncoderTrainer } from "./encoder-trainer.js";
import type { TrainingProgress } from "./job-progress.js";
import { rateAt } from "./schedule.js";

/** Looks at the validation part in a training; each costs the encoding of more than a thousand items. */
const LOOKS = 10;
/** Looks without a better one before a training is given up. */
const PATIENCE = 3;
const VALIDATION_FIELD = 1_024;

/** What to train with, and for how long. */
export interface EncoderPlan {
  source: BatchSource;
  /** Steps that the rate's course is laid out for. */
  plannedSteps: number;
  /** Steps to take, at most those. */
  steps: number;
  /** What early stopping looks at; without it the training goes on to its end. */
  validation?: { judgements: readonly Judgement[]; judgedBy: JudgedBy };
}

/** A training as far as it got, with its numbers. */
export interface SavedTraining {
  progress: TrainingProgress;
  arrays: { weights: readonly Float32Array[]; means: readonly Float32Array[]; variances: readonly Float32Array[] };
  /** Weights of the best look, where one was better than the start. */
  best?: readonly Float32Array[];
}

export interface TrainedEncoder {
  progress: TrainingProgress;
  /** In the order of the trained weights: of the best look, or without validation of the last step. */
  weights: readonly Float32Array[];
}

/** Steps between two looks. */
export function lookInterval(plannedSteps: number): number {
  return Math.max(1, Math.ceil(plannedSteps / LOOKS));
}

/**
 * Trains an encoder.
 * @param saved where given, the training goes on from there, and gives what it would have given uninterrupted
 * @param save called when a checkpoint is due, and when the training is cancelled
 * @throws fine_tune_failed when loss or gradient is not finite; the signal's reason
 */
export async function trainEncoder(
  context: EncoderContext,
  trainer: EncoderTrainer,
  plan: EncoderPlan,
  saved: SavedTraining | undefined,
  save: (training: SavedTraining) => Promise<void>,
): Promise<TrainedEncoder> {
  const { options, checkpoints, meter } = context;
  const { source, steps, plannedSteps, validation } = plan;
  const { recipe } = trainer.options.objectives[0] ?? {};
  const schedule = {
    steps: plannedSteps,
    warmup: options.warmup,
    learningRate: recipe?.learningRate ?? options.learningRate,
  };
  const trained = context.encoder.trained.weights;
  const start = trained.map((weight) => weight.start);
  const stopping = new EarlyStopping<readonly Float32Array[]>(start, PATIENCE);
  const progress: TrainingProgress = structuredClone(saved?.progress) ?? {
    steps: 0,
    curve: [],
    losses: [],
    best: { steps: 0, gain: 0 },
  };
  let goesOn = true;
  for (const { step, validation: gain } of progress.curve) {
    if (gain !== undefined) goesOn = stopping.look(step, gain, () => saved?.best ?? start);
  }
  let state = saved ? stateOf(trained, { ...saved.arrays, steps: progress.steps }) : startingState(trained);
  source.skip(progress.steps);
  meter.advance(progress.steps);
  const look = validation && (await lookout(context, trainer, validation));
  const interval = lookInterval(plannedSteps);

  const isLookDue = () =>
    (progress.steps % interval === 0 || progress.steps === steps) && progress.curve.at(-1)?.step !== progress.steps;
  const keep = async () => {
    const { weights, means, variances } = await numbersOf(state);
    await save({
      progress,
      arrays: { weights, means, variances },
      ...(stopping.best.steps > 0 && { best: stopping.best.kept }),
    });
  };
  const lookNow = async () => {
    const point = { step: progress.steps, loss: meanOf(progress.losses) };
    if (look === undefined) progress.curve.push(point);
    else {
      const gain = await look(state);
      progress.curve.push({ ...point, validation: gain });
      const weights = gain > stopping.best.gain ? await weightsOf(state) : [];
      goesOn = stopping.look(progress.steps, gain, () => weights);
      progress.best = { steps: stopping.best.steps, gain: stopping.best.gain };
    }
    progress.losses = [];
  };
  try {
    if (progress.steps > 0 && isLookDue()) await lookNow();
    while (goesOn && progress.steps < steps) {
      const rate = rateAt(progress.steps + 1, schedule);
      const step = await trainer.step(state, await source.next(), rate);
      state = step.state;
      progress.losses.push(step.report.loss);
      progress.steps = state.steps;
      meter.advance(1);
      if (isLookDue()) await lookNow();
      if (checkpoints.isDue) await keep();
      await context.pause();
    }
    meter.drop(steps - progress.steps);
    return { progress, weights: look === undefined ? await weightsOf(state) : stopping.best.kept };
  } catch (reason) {
    // A training that is told to stop, in a look or between two steps, is kept before it does.
    if (context.signal?.aborted) await keep();
    throw reason;
  } finally {
    release(state.weights, state.means, state.variances);
  }
}

/** A function that tells the mean gain of a state on the validation part, from the encoder's own weights on. */
async function lookout(
  context: EncoderContext,
  trainer: EncoderTrainer,
  { judgements, judgedBy }: NonNullable<EncoderPlan["validation"]>,
) {
  const sample = sampledField(context, VALIDATION_FIELD);
  const items = [...new Set([...sample, ...judgements.flatMap(({ anchor, targets }) => [anchor, ...targets])])];
  const identity = identityWeights(context.task.dimensions);
  const ranksOf = async (state: EncoderState) => {
    const { judge, field } = judgeOf(
      context,
      await encodeRows(context, (inputs) => trainer.embed(state, inputs), items),
      sample,
    );
    return (await judge.look(identity, field, { judgements })).ranks;
  };
  const before = await ranksOf(startingState(context.encoder.trained.weights));
  return async (state: EncoderState): Promise<number> => meanOf(gains(before, await ranksOf(state), judgedBy));
}
