import { FOLDS } from "../gate/folds.js";
import type { FineTunePlan } from "../task/fine-tune-task.js";
import { peakMemoryBytes } from "../task/peak-memory.js";
import type { HeadContext } from "./head-context.js";
import { rowCapacity } from "./head-trainer.js";

const FLOAT_BYTES = 4;
/** Rows that judging scans at once. */
const BLOCK_ROWS = 1_024;
/** The engine collects typed arrays that nobody uses any more when about so much of them has gathered. */
const UNCOLLECTED_BYTES = 64 * 1024 * 1024;

/**
 * What the job will take, told before its first step. Steps: five folds on 3/5 of the feedback each, for every recipe, and the
 * refit. Memory: what the process has held so far, with files, sessions and mined negatives, and what comes on top.
 */
export function planOf(context: HeadContext): FineTunePlan {
  const { task, trainers, maximumSteps } = context;
  return {
    steps: Math.ceil((trainers.length * FOLDS * maximumSteps * (FOLDS - 2)) / FOLDS + maximumSteps),
    parameters: task.dimensions ** 2,
    parts: 1,
    memoryBytes: Math.ceil(peakMemoryBytes() + trainingBytes(context) + judgingBytes(context)),
    provider: trainers[0]?.provider ?? context.engine.provider,
  };
}

/**
 * Of every recipe: weights, gradient and moments before and after a step, rows and distances of a batch, and the heads that folds
 * keep; and the rows that batches read again and again.
 */
function trainingBytes({ task, trainers, lines, base }: HeadContext): number {
  const weights = task.dimensions ** 2;
  const anchors = trainers[0]?.options.batchSize ?? 1;
  const step = 8 * weights + rowCapacity(anchors) * (6 * task.dimensions + 4 * anchors);
  const rows = Math.min(base.total, 3 * lines.length) * task.dimensions;
  return FLOAT_BYTES * (trainers.length * (step + 2 * FOLDS * weights) + rows);
}

/** A block of the collection against every judged anchor, and what blocks before it have left behind. */
function judgingBytes({ task, anchors, base }: HeadContext): number {
  const block = Math.min(BLOCK_ROWS, base.count) * (2 * task.dimensions + 2 * anchors.length);
  const all = base.count * (2 * task.dimensions + anchors.length);
  return FLOAT_BYTES * block + Math.min(UNCOLLECTED_BYTES, FLOAT_BYTES * all);
}
