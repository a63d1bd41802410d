import { BatchSampler } from "../batches/batch-sampler.js";
import { plannedSteps } from "../batches/planned-steps.js";
import { type FineTuneContext, openContext, randomStream, STREAMS } from "../context.js";
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
}

/** @param mined see `openContext`. @throws as `openContext`; engine_unavailable */
export async function openHeadContext(
  task: FineTuneTask,
  hooks: FineTuneHooks,
  mined?: NegativeMiner,
): Promise<HeadContext> {
  const context = await openContext(task, hooks, mined);
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
