import { meanOf } from "../../evaluation/index.js";
import { STREAMS } from "../context.js";
import { gains } from "../gate/judge.js";
import { reportedRecipe } from "../losses/recipe.js";
import { recipesToTry } from "../losses/recipes.js";
import type { FineTuneResult, FineTuneTask } from "../task/fine-tune-task.js";
import type { FineTuneHooks } from "../task/hooks.js";
import { peakMemoryBytes } from "../task/peak-memory.js";
import type { Checkpoint } from "./checkpoints.js";
import { ENCODER_STREAMS, type EncoderContext, openEncoderContext, openTrainer } from "./encoder-context.js";
import { judgeEncoder } from "./encoder-gate.js";
import { startingState } from "./encoder-state.js";
import type { EncoderTrainer } from "./encoder-trainer.js";
import { lookInterval, type SavedTraining, type TrainedEncoder, trainEncoder } from "./encoder-training.js";
import { everything, type HoldOut, holdOut } from "./hold-out.js";
import type { EncoderGate, JobProgress, Trial } from "./job-progress.js";
import { planOf } from "./plan.js";
import { sourceOf, stepsOver } from "./sources.js";
import { checkWritten, writeTunedEncoder } from "./write-tuned-encoder.js";

const CHECKPOINT_EVERY_MS = 60_000;
const HELD_OUT_STREAMS = { feedback: STREAMS.fold, augmentation: ENCODER_STREAMS.heldOutAugmentation };
const ALL_STREAMS = { feedback: STREAMS.refit, augmentation: ENCODER_STREAMS.augmentation };

export interface EncoderFineTuneSettings {
  /** Time between two checkpoints. @default 60 000 */
  checkpointEveryMs?: number;
}

/**
 * Trains an encoder in place: without a fifth of the feedback, which then judges it (the gate); and when the gate opens (or `promote`
 * is `always`) on everything, for the share of the steps that early stopping chose. Writes the tuned encoder as an ordinary ONNX
 * file and every live item as it encodes it. A job that was interrupted goes on from its checkpoint when it is run again, and
 * ends with the same weights.
 * @throws invalid_setting, invalid_model, invalid_encoder, not_enough_feedback, contradictory_feedback, fine_tune_failed; the signal's reason
 */
export async function runEncoderFineTune(
  task: FineTuneTask,
  hooks: FineTuneHooks = {},
  { checkpointEveryMs = CHECKPOINT_EVERY_MS }: EncoderFineTuneSettings = {},
): Promise<FineTuneResult> {
  const startedAt = performance.now();
  hooks.signal?.throwIfAborted();
  const context = await openEncoderContext(task, hooks, checkpointEveryMs);
  try {
    const job = new EncoderJob(context, await context.checkpoints.load(hooks.log ?? (() => {})), hooks);
    const result = await job.run().finally(() => job.close());
    result.timings.totalMs = performance.now() - startedAt;
    result.peakMemoryBytes = peakMemoryBytes();
    await context.checkpoints.clear();
    return result;
  } finally {
    await context.close();
  }
}

/** One job from its beginning, or its checkpoint, to its result. */
class EncoderJob {
  readonly #context: EncoderContext;
  readonly #progress: JobProgress;
  /** What the checkpoint holds of the training that was under way. */
  #saved: SavedTraining | undefined;
  #leader: readonly Float32Array[];
  #announced = false;
  #open: { recipe: number; trainer: EncoderTrainer } | undefined;
  readonly #onPlan: FineTuneHooks["onPlan"];

  constructor(context: EncoderContext, checkpoint: Checkpoint<JobProgress> | undefined, { onPlan }: FineTuneHooks) {
    this.#context = context;
    this.#onPlan = onPlan;
    this.#progress = checkpoint?.progress ?? { trials: [] };
    this.#saved = checkpoint && savedTraining(checkpoint);
    this.#leader = checkpoint?.arrays.leader ?? [];
  }

  async run(): Promise<FineTuneResult> {
    const split = await holdOut(this.#context);
    const gate = this.#progress.gate ?? (await this.#runGate(split));
    this.#progress.gate = gate;
    const { options, task, base } = this.#context;
    const recipe = this.#recipes[gate.trial.recipe] ?? this.#recipes[0];
    if (recipe === undefined) throw new Error("There is no recipe to train by");
    const refused: FineTuneResult = {
      outcome: "rejected",
      ...(gate.reason !== undefined && { reason: gate.reason }),
      written: false,
      metrics: gate.metrics,
      lossCurve: gate.lossCurve,
      steps: 0,
      foldSteps: [gate.trial.steps],
      provider: this.#context.engine.provider,
      recipe: reportedRecipe(recipe, task.metric, base.scale),
      ...(gate.tried && { tried: gate.tried }),
      timings: { trainingMs: gate.trainingMs, evaluatingMs: gate.evaluatingMs, reEmbeddingMs: 0, totalMs: 0 },
    };
    if (!gate.passed && options.promote !== "always") return refused;
    return this.#build(refused, gate);
  }

  get #recipes() {
    const { options, task, base } = this.#context;
    return recipesToTry(options, task.metric, base.scale);
  }

  /** Trains without the held-out part, by every recipe, and lets it judge the best. */
  async #runGate(split: HoldOut): Promise<EncoderGate> {
    const startedAt = performance.now();
    for (const recipe of this.#recipes.keys()) {
      if (recipe < this.#progress.trials.length) continue;
      await this.#try(recipe, split, await this.#trainer(recipe));
    }
    const trial = this.#progress.leader ?? this.#progress.trials[0];
    if (trial === undefined) throw new Error("There is no recipe to train by");
    const trainedAt = performance.now();
    const { weights } = this.#context.encoder.trained;
    const tuned = startingState(weights, this.#leader.length > 0 ? this.#leader : undefined);
    const { decision, looks } = await judgeEncoder(this.#context, await this.#trainer(trial.recipe), tuned, split);
    const { trials } = this.#progress;
    return {
      ...decision,
      trial,
      ...(trials.length > 1 && { tried: trials.map((each) => this.#reportTrial(each)) }),
      lossCurve: trial.curve,
      judgements: looks.judgements,
      ranksBefore: looks.before.ranks,
      trainingMs: trainedAt - startedAt,
      evaluatingMs: performance.now() - trainedAt,
    };
  }

  /** One training on the part that is not held out. */
  async #try(recipe: number, { known, validation, judgedBy }: HoldOut, trainer: EncoderTrainer): Promise<void> {
    const source = sourceOf(this.#context, known, HELD_OUT_STREAMS);
    const steps = stepsOver(this.#context, known, source);
    this.#context.meter.begin("training", steps, "steps");
    const plan = { source, plannedSteps: steps, steps, validation: { judgements: validation, judgedBy } };
    const { progress, weights } = await this.#train(trainer, plan);
    const trial: Trial = { recipe, ...progress.best, plannedSteps: steps, curve: progress.curve };
    this.#progress.trials.push(trial);
    if (trial.gain > (this.#progress.leader?.gain ?? 0)) {
      this.#progress.leader = trial;
      this.#leader = weights;
    }
    await this.#save();
  }

  /** Trains on everything, for the share of the planned steps that was best, writes the result, and checks it. */
  async #build(refused: FineTuneResult, gate: EncoderGate): Promise<FineTuneResult> {
    const context = this.#context;
    const refitAt = performance.now();
    const known = everything(context);
    const source = sourceOf(context, known, ALL_STREAMS);
    const planned = stepsOver(context, known, source);
    const share = gate.trial.steps / Math.max(1, gate.trial.plannedSteps);
    // A hold-out training that chose no steps leaves nothing to promote; who promotes always wants a trained encoder all the same.
    const steps = Math.max(Math.round(share * planned), Math.min(planned, lookInterval(planned)));
    context.meter.begin("training", steps, "steps");
    if (this.#saved === undefined) await this.#save();
    const trainer = await this.#trainer(gate.trial.recipe);
    const trained = await this.#train(trainer, { source, plannedSteps: planned, steps });
    const writeAt = performance.now();
    await writeTunedEncoder(context, trained.weights);
    const checkAt = performance.now();
    const ranks = await checkWritten(context, gate.judgements);
    const improvement = meanOf(gains(gate.ranksBefore, ranks, gate.metrics.judgedBy));
    const result: FineTuneResult = {
      ...refused,
      written: true,
      metrics: { ...gate.metrics, finalImprovement: improvement },
      lossCurve: trained.progress.curve,
      steps: trained.progress.steps,
      timings: {
        ...refused.timings,
        trainingMs: refused.timings.trainingMs + writeAt - refitAt,
        reEmbeddingMs: checkAt - writeAt,
        evaluatingMs: refused.timings.evaluatingMs + performance.now() - checkAt,
      },
    };
    if (gate.passed && improvement >= context.options.minGain) return { ...result, outcome: "passed" };
    const broken = `The vectors written improve the log-rank of the held-out anchors by ${improvement.toFixed(4)} only, below minGain`;
    return { ...result, reason: gate.reason ?? broken };
  }

  async #train(trainer: EncoderTrainer, plan: Parameters<typeof trainEncoder>[2]): Promise<TrainedEncoder> {
    const saved = this.#saved;
    this.#saved = undefined;
    return trainEncoder(this.#context, trainer, plan, saved, (training) => this.#save(training));
  }

  /** The trainer of a recipe. One is open at a time: its sessions keep the memory that they once took. */
  async #trainer(recipe: number): Promise<EncoderTrainer> {
    if (this.#open?.recipe === recipe) return this.#open.trainer;
    await this.close();
    const chosen = this.#recipes[recipe];
    if (chosen === undefined) throw new Error(`There is no recipe ${recipe}`);
    const trainer = await openTrainer(this.#context, chosen);
    this.#open = { recipe, trainer };
    await this.#announce(trainer);
    return trainer;
  }

  async close(): Promise<void> {
    await this.#open?.trainer.close();
    this.#open = undefined;
  }

  /** Says what the job will take, once. */
  async #announce(trainer: EncoderTrainer): Promise<void> {
    if (this.#announced) return;
    this.#announced = true;
    const source = sourceOf(this.#context, everything(this.#context), ALL_STREAMS);
    const plan = await planOf(this.#context, trainer, source);
    this.#onPlan?.(plan);
  }

  async #save(training?: SavedTraining): Promise<void> {
    const progress: JobProgress = { ...this.#progress, ...(training && { training: training.progress }) };
    const arrays = {
      ...(this.#leader.length > 0 && progress.gate === undefined && { leader: this.#leader }),
      ...training?.arrays,
      ...(training?.best && { best: training.best }),
    };
    await this.#context.checkpoints.save({ progress, arrays });
  }

  #reportTrial({ recipe, gain }: Trial): NonNullable<FineTuneResult["tried"]>[number] {
    const { loss, learningRate } = this.#recipes[recipe] ?? { loss: "triplet", learningRate: 0 };
    return { loss, learningRate, validation: gain };
  }
}

function savedTraining({ progress, arrays }: Checkpoint<JobProgress>): SavedTraining | undefined {
  const { weights, means, variances, best } = arrays;
  if (progress.training === undefined || !weights || !means || !variances) return undefined;
  return { progress: progress.training, arrays: { weights, means, variances }, ...(best && { best }) };
}
