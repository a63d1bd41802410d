import { BLOCK_ROWS } from "../gate/closeness-scan.js";
import { FOLDS } from "../gate/folds.js";
import { MAXIMUM_ANCHORS } from "../gate/judgement.js";
import type { FineTunePlan } from "../task/fine-tune-task.js";
import { peakMemoryBytes } from "../task/peak-memory.js";
import type { HeadContext } from "./head-context.js";
import { rowCapacity } from "./head-trainer.js";
import { lanesOf } from "./open-head-work.js";

const FLOAT_BYTES = 4;
/** Rows of untouched items that are looked at beside the judged anchors. */
const UNTOUCHED = 200;
/** The engine collects typed arrays that nobody uses any more when about so much of them has gathered. */
const UNCOLLECTED_BYTES = 64 * 1024 * 1024;
/** A thread that trains folds: its JavaScript engine, its sessions, the feedback. As measured. */
const LANE_BYTES = 40 * 1024 * 1024;
/** Weights that steps have handed out and nobody has collected yet, of a thread that trains folds. As measured, for 64 to 1,024 dimensions. */
const UNCOLLECTED_WEIGHTS = 32;

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

/** What trains in this thread, with the heads that folds keep, and what does in the threads of the folds. */
function trainingBytes(context: HeadContext): number {
  const { task, trainers, lines, base } = context;
  const weights = FLOAT_BYTES * task.dimensions ** 2;
  // The rows that batches read again and again.
  const rows = (share: number) => FLOAT_BYTES * Math.min(base.total, 3 * share * lines.length) * task.dimensions;
  const steps = trainers.length * stepBytes(context);
  const lanes = lanesOf(context);
  const lane = LANE_BYTES + steps + rows(1 - 2 / FOLDS) + Math.min(UNCOLLECTED_BYTES, UNCOLLECTED_WEIGHTS * weights);
  return steps + trainers.length * 2 * FOLDS * weights + rows(1) + (lanes === 1 ? 0 : lanes * lane);
}

/** Weights, gradient and moments before and after a step, rows and distances of a batch. */
function stepBytes({ task, trainers }: HeadContext): number {
  const anchors = trainers[0]?.options.batchSize ?? 1;
  return FLOAT_BYTES * (8 * task.dimensions ** 2 + rowCapacity(anchors) * (6 * task.dimensions + 4 * anchors));
}

/** A block of the collection against every judged anchor, and what blocks before it have left behind. */
function judgingBytes({ task, anchors, base }: HeadContext): number {
  const d = task.dimensions;
  const queries = Math.min(MAXIMUM_ANCHORS, anchors.length) + UNTOUCHED;
  const rows = Math.min(BLOCK_ROWS, base.count);
  // The block, what the head makes of it in three steps, and how close each query is: in the runtime and as it is handed out.
  const block = rows * (4 * d + 2 * queries);
  return (
    FLOAT_BYTES * (2 * queries * d + block) + Math.min(UNCOLLECTED_BYTES, FLOAT_BYTES * base.count * (d + queries))
  );
}
