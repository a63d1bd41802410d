import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import type { ModelInputs } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import { type FineTuneContext, openContext, randomStream } from "../context.js";
import { restrictLines } from "../feedback/training-lines.js";
import { judgedItems, requireAnchors } from "../gate/judgement.js";
import type { Recipe } from "../losses/recipe.js";
import type { EncoderTask, FineTuneTask } from "../task/fine-tune-task.js";
import type { FineTuneHooks } from "../task/hooks.js";
import { Checkpoints } from "./checkpoints.js";
import { Contents } from "./contents.js";
import type { TunableEncoder } from "./encoder-graph.js";
import { EncoderTrainer } from "./encoder-trainer.js";
import type { JobProgress } from "./job-progress.js";
import { openTunableEncoder } from "./open-tunable-encoder.js";
import type { Objective } from "./step-graph.js";

/** Streams of random numbers beside those of every fine-tune: see `STREAMS`. */
export const ENCODER_STREAMS = {
  lowRank: 64,
  views: 65,
  holdOut: 66,
  augmentation: 67,
  heldOutAugmentation: 68,
} as const;

/** What the training of an encoder needs beside the rest. */
export interface EncoderContext extends FineTuneContext {
  encoderTask: EncoderTask;
  encoder: TunableEncoder;
  inputs: ModelInputs;
  contents: Contents;
  checkpoints: Checkpoints<JobProgress>;
  signal: AbortSignal | undefined;
}

/**
 * Reads a task, its encoder and what that is to read. Feedback about rows without content (vectors) is left out.
 * @param checkpointEveryMs time between two checkpoints
 * @throws invalid_setting, invalid_model, invalid_encoder, not_enough_feedback, contradictory_feedback, fine_tune_failed
 */
export async function openEncoderContext(
  task: FineTuneTask,
  hooks: FineTuneHooks,
  checkpointEveryMs: number,
): Promise<EncoderContext> {
  const encoderTask = task.encoder;
  if (encoderTask === undefined) {
    throw new AttuneError("fine_tune_failed", 'The fine-tune\'s task has scope "encoder" and says of no encoder');
  }
  const context = await openContext(task, hooks);
  try {
    const random = randomStream(task.seed, ENCODER_STREAMS.lowRank);
    const opened = await openTunableEncoder(encoderTask.model, task.dimensions, context.options, random);
    const contents = await Contents.read(encoderTask.contents, context.base.total, opened.inputs);
    const checkpoints = new Checkpoints<JobProgress>(
      encoderTask.checkpoints,
      await fingerprint(task),
      checkpointEveryMs,
    );
    return {
      ...context,
      ...withoutVectors(context, contents),
      ...opened,
      encoderTask,
      contents,
      checkpoints,
      signal: hooks.signal,
    };
  } catch (error) {
    await context.close();
    throw error;
  }
}

/** Sessions that train by one recipe. */
export function openTrainer(context: EncoderContext, recipe: Recipe): Promise<EncoderTrainer> {
  const { encoder, inputs, options, task, base, provider } = context;
  return EncoderTrainer.open({
    encoder,
    inputs,
    metric: task.metric,
    scale: base.scale,
    objectives: objectivesOf(context, recipe),
    gradientClip: options.gradientClip,
    weightDecay: options.weightDecay,
    provider,
    threads: task.threads,
    memoryBytes: memoryLimit(options.memoryMb) - processBytes(encoder),
  });
}

/**
 * About what the process holds before the first step: Node.js and ONNX Runtime, and the model read, decoded and in sessions. Not measured, since
 * how a batch is cut, and with it the last bits of the weights, must not depend on it.
 */
function processBytes({ model }: TunableEncoder): number {
  const weights = (model.graph?.initializer ?? []).reduce((sum, { rawData }) => sum + (rawData?.length ?? 0), 0);
  return 96 * 2 ** 20 + 3.5 * weights;
}

/** Bytes that the process may take. @default half of the machine's memory */
export function memoryLimit(memoryMb: number | undefined): number {
  return memoryMb === undefined ? totalmem() / 2 : memoryMb * 2 ** 20;
}

function objectivesOf({ options }: EncoderContext, recipe: Recipe): Objective[] {
  const { source, batchNegatives, augmentationWeight } = options;
  const objective = { recipe, weight: 1, batchNegatives };
  return source === "both" ? [objective, { ...objective, weight: augmentationWeight }] : [objective];
}

function withoutVectors({ graph, lines, anchors, judgedBy, options }: FineTuneContext, contents: Contents) {
  if (graph.items.every((item) => contents.has(item))) return { graph, lines, anchors, judgedBy };
  const rest = graph.without((item) => !contents.has(item));
  const judged = judgedItems(rest);
  if (options.source !== "augmentation") requireAnchors(judged.anchors.length);
  return { graph: rest, lines: restrictLines(lines, rest), ...judged };
}

/** What must be the same for a checkpoint to be gone on from: all that decides the weights, but not where files lie. */
async function fingerprint(task: FineTuneTask): Promise<string> {
  const { options, seed, threads, dimensions, metric, provider, encoder } = task;
  const hash = createHash("sha256");
  hash.update(JSON.stringify([options, seed, threads, dimensions, metric, provider, encoder?.model.checksums]));
  for (const path of [task.feedback, task.liveLabels, encoder?.contents])
    if (path !== undefined) hash.update(await readFile(path));
  return hash.digest("hex");
}
