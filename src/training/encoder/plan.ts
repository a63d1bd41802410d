import { AttuneError } from "../../errors/index.js";
import { FOLDS } from "../gate/folds.js";
import { recipesToTry } from "../losses/recipes.js";
import type { FineTunePlan } from "../task/fine-tune-task.js";
import type { BatchSource } from "./batch-source.js";
import { rowsOfRun } from "./encode-items.js";
import { type EncoderContext, memoryLimit } from "./encoder-context.js";
import type { EncoderTrainer } from "./encoder-trainer.js";
import { everything } from "./hold-out.js";
import { stepsOver } from "./sources.js";

/** Batches that are looked at for the largest. */
const BATCHES = 200;

/**
 * What the job will take, told before its first step. Steps: the training without the two fifths that judge and stop it, for
 * every recipe, and the one on everything. Memory: what the process holds now, files and sessions among it, and what the largest batch
 * and the encoding of items while training take on top.
 * @param source batches of everything, to be drawn from
 * @throws invalid_setting where not even a step on one row after the other fits into memory
 */
export async function planOf(
  context: EncoderContext,
  trainer: EncoderTrainer,
  source: BatchSource,
): Promise<FineTunePlan> {
  const { options, task, base, encoder, inputs } = context;
  const steps = stepsOver(context, everything(context), source);
  let [bytes, parts, longest] = [0, 1, 1];
  for (let batch = 0; batch < Math.min(steps, BATCHES); batch++) {
    const lengths = (await source.nextLengths()).sort((a, b) => a - b);
    const cuts = trainer.cut(lengths);
    bytes = Math.max(bytes, trainer.bytesOf(lengths));
    parts = Math.max(parts, cuts.whole ? 1 : cuts.ends.length);
    longest = Math.max(longest, lengths.at(-1) ?? 1);
  }
  const encoding = trainer.memory.encoding({ rows: rowsOfRun(inputs.modality, longest), tokens: longest });
  const memoryBytes = Math.ceil(process.memoryUsage().rss + bytes + encoding + judgingBytes(context));
  requireMemory(memoryBytes - judgingBytes(context), memoryLimit(options.memoryMb), parts);
  const recipes = recipesToTry(options, task.metric, base.scale).length;
  return {
    steps: Math.ceil((recipes * steps * (FOLDS - 2)) / FOLDS + steps),
    parameters: encoder.trained.weights.reduce((sum, { start }) => sum + start.length, 0),
    parts,
    memoryBytes,
    provider: trainer.provider,
  };
}

/** Judging holds a block of 1,024 rows by up to 2,700 queries, before and after it is computed, and the rows that it reads again and again. */
function judgingBytes({ base }: EncoderContext): number {
  return 4 * (2 * 1_024 * 2_700 + Math.min(base.total, 20_000) * base.dimensions);
}

/** A little more than asked for is within what an estimate can tell. */
function requireMemory(bytes: number, limit: number, parts: number): void {
  if (bytes <= 1.25 * limit) return;
  const mib = (number: number) => Math.round(number / 2 ** 20);
  throw new AttuneError(
    "invalid_setting",
    `A training step takes about ${mib(bytes)} MiB even in ${parts} parts, and memoryMb allows ${mib(limit)} MiB; ` +
      'allow more, or train fewer weights (parameters "low-rank" or "last-layers")',
  );
}
