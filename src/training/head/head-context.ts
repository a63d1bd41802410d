import { BatchSampler } from "../batches/batch-sampler.js";
import { plannedSteps } from "../batches/planned-steps.js";
import { type FineTuneContext, openContext, randomStream, STREAMS } from "../context.js";
import { Engine } from "../engines/engine.js";
import { TfjsHeadTrainer } from "../engines/tfjs/tfjs-head-trainer.js";
import type { Recipe } from "../losses/recipe.js";
import { recipesToTry } from "../losses/recipes.js";
import type { NegativeMiner } from "../miners/negative-miner.js";
import type { FineTuneTask } from "../task/fine-tune-task.js";
import type { FineTuneHooks } from "../task/hooks.js";
import { identityWeights } from "./head.js";
import type { HeadTrainer } from "./head-trainer.js";
import { OnnxHeadTrainer } from "./onnx-head-trainer.js";

/** What the training of a head needs beside the rest. */
export interface HeadContext extends FineTuneContext {
  /** One for each recipe to be tried, most often one. */
  trainers: readonly HeadTrainer[];
  /** Weights (d x d) that training starts from. */
  start: Float32Array;
  /** Steps a training on all lines takes at most. */
  maximumSteps: number;
  /** Jobs done side by side, which the threads are divided among. */
  lanes: number;
}

export interface HeadContextOptions {
  /** See `openContext`. */
  mined?: NegativeMiner | undefined;
  /** Lanes that there are beside this one; the CPU takes use of them. @default 0 */
  beside?: number;
}

/** @throws as `openContext`; engine_unavailable */
export async function openHeadContext(
  task: FineTuneTask,
  hooks: FineTuneHooks,
  { mined, beside = 0 }: HeadContextOptions = {},
): Promise<HeadContext> {
  const context = await divideThreads(await openContext(task, hooks, mined), beside);
  const { graph, lines, miner, options, active, base } = context;
  const sampler = new BatchSampler(graph, lines, miner, options, randomStream(task.seed, STREAMS.refit));
  const trainers: HeadTrainer[] = [];
  const close = async () => {
    for (const trainer of trainers) await trainer.close();
    await context.close();
  };
  try {
    const batchSize = Math.max(1, sampler.batchSize);
    for (const recipe of recipesToTry(options, task.metric, base.scale)) {
      trainers.push(await openTrainer(context, recipe, batchSize));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...context,
    trainers,
    start: options.from === "active" ? active : identityWeights(task.dimensions),
    maximumSteps: plannedSteps(options, lines.length, sampler.stepsPerEpoch),
    close,
  };
}

/** Mining has had every thread; from here on each lane has its own. */
async function divideThreads(context: FineTuneContext, beside: number): Promise<FineTuneContext & { lanes: number }> {
  const { task, engine: whole } = context;
  if (beside === 0 || whole.provider !== "cpu") return { ...context, lanes: 1 };
  const lanes = beside + 1;
  const threads = Math.max(1, Math.floor(task.threads / lanes));
  try {
    // Its memory is wanted; that it is closed again in the end does no harm.
    await whole.close();
    const engine = await Engine.open({ ...task, provider: "cpu", threads });
    const close = async () => {
      await engine.close();
      await context.close();
    };
    return { ...context, task: { ...task, threads }, engine, lanes, close };
  } catch (error) {
    await context.close();
    throw error;
  }
}

function openTrainer(
  { task, options, engine }: FineTuneContext,
  recipe: Recipe,
  batchSize: number,
): Promise<HeadTrainer> {
  const Trainer = options.engine === "tfjs" ? TfjsHeadTrainer : OnnxHeadTrainer;
  return Trainer.open({
    dimensions: task.dimensions,
    metric: task.metric,
    provider: engine.provider,
    threads: task.threads,
    recipe,
    batchNegatives: options.batchNegatives,
    batchSize,
    identityPenalty: recipe.identityPenalty ?? options.weightDecay,
  });
}
