import { BLOCK_ROWS } from "../gate/closeness-scan.js";
import { FOLDS } from "../gate/folds.js";
import { MAXIMUM_ANCHORS } from "../gate/judgement.js";
import type { FineTunePlan } from "../task/fine-tune-task.js";
import { peakMemoryBytes } from "../task/peak-memory.js";
import type { HeadContext } from "./head-context.js";
import { rowCapacity } from "./head-trainer.js";
import { BLOCK_ROWS as EMBEDDED_ROWS } from "./re-embed.js";

const FLOAT_BYTES = 4;
/** Rows of untouched items that are looked at beside the judged anchors. */
const UNTOUCHED = 200;
/** The engine collects typed arrays that nobody uses any more when about so much of them has gathered. */
const UNCOLLECTED_BYTES = 64 * 1024 * 1024;
/** Weights that looks and runs hand out, of which nobody collects any before that. */
const HANDED_OUT = 64;
/** What the runtime takes of its memory to what a graph needs at once, as measured: it takes it in ever larger pieces. */
const ARENA = 1.3;
/** A thread of its own that trains and judges heads: its JavaScript engine, its sessions, the feedback. As measured. */
const LANE_BYTES = 24 * 1024 * 1024;

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
    memoryBytes: Math.ceil(peakMemoryBytes() + workBytes(context)),
    provider: trainers[0]?.provider ?? context.engine.provider,
  };
}

/** What heads are trained, judged and applied with, in this thread or in each of several, and the heads that folds keep. */
function workBytes(context: HeadContext): number {
  const { task, trainers, lines, base } = context;
  const d = task.dimensions;
  // Weights and moments as they are handed out and in; the rows that batches read again and again.
  const outside = FLOAT_BYTES * (8 * d ** 2 + Math.min(base.total, 3 * lines.length) * d);
  // Blocks of the collection that are read, multiplied and written at once.
  const embedding = FLOAT_BYTES * 5 * Math.min(EMBEDDED_ROWS, base.count) * d;
  const lane = trainers.length * stepBytes(context) + outside + judgingBytes(context) + embedding;
  const heads = FLOAT_BYTES * trainers.length * 2 * FOLDS * d ** 2;
  return heads + context.lanes * lane + (context.lanes - 1) * LANE_BYTES;
}

/** Weights, gradient and moments before and after a step, rows and distances of a batch; the negatives of a run. */
function stepBytes({ task, trainers }: HeadContext): number {
  const anchors = trainers[0]?.options.batchSize ?? 1;
  const rows = rowCapacity(anchors);
  const run = (trainers[0]?.stepsAtOnce ?? 1) * rows * anchors;
  return FLOAT_BYTES * (ARENA * (8 * task.dimensions ** 2 + rows * (7 * task.dimensions + 4 * anchors)) + run);
}

/** A block of the collection against every judged anchor, and what was handed out before it and nobody has collected yet. */
function judgingBytes({ task, anchors, base }: HeadContext): number {
  const d = task.dimensions;
  const queries = Math.min(MAXIMUM_ANCHORS, anchors.length) + UNTOUCHED;
  const rows = Math.min(BLOCK_ROWS, base.count);
  // The block, what the head makes of it in three steps, and how close each query is: in the runtime and as it is handed out.
  const handedOut = FLOAT_BYTES * (base.count * queries + HANDED_OUT * d ** 2);
  return (
    ARENA * FLOAT_BYTES * (2 * queries * d + rows * (4 * d + 2 * queries)) + Math.min(UNCOLLECTED_BYTES, handedOut)
  );
}
