import { FOLDS } from "../gate/folds.js";
import type { FineTunePlan } from "../task/fine-tune-task.js";
import { peakMemoryBytes } from "../task/peak-memory.js";
import type { HeadContext } from "./head-context.js";
import { rowCapacity } from "./head-trainer.js";

/** Rows that judging holds at once: a block of 1,024 by up to 2,700 queries, before and after it is computed. */
const JUDGING_NUMBERS = 2 * 1_024 * 2_700;

/**
 * What the job will take, told before its first step. Steps: five folds on 3/5 of the feedback each, for every recipe, and the
 * refit. Memory: what the process holds now, with files, sessions and mined negatives, and what comes on top: each recipe's step
 * (weights, gradient and moments, before and after; rows and distances of a batch), heads that folds keep, rows read
 * again and again, and judging.
 */
export function planOf(context: HeadContext): FineTunePlan {
  const { task, trainers, maximumSteps, lines, base } = context;
  const parameters = task.dimensions ** 2;
  const anchors = trainers[0]?.options.batchSize ?? 1;
  const step = 8 * parameters + rowCapacity(anchors) * (6 * task.dimensions + 4 * anchors);
  const heads = 2 * FOLDS * trainers.length * parameters;
  const rows = Math.min(base.total, 3 * lines.length) * task.dimensions;
  return {
    steps: Math.ceil((trainers.length * FOLDS * maximumSteps * (FOLDS - 2)) / FOLDS + maximumSteps),
    parameters,
    parts: 1,
    memoryBytes: peakMemoryBytes() + 4 * (trainers.length * step + heads + rows + JUDGING_NUMBERS),
    provider: trainers[0]?.provider ?? context.engine.provider,
  };
}
