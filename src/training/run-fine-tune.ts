import { writeFile } from "node:fs/promises";
import { meanOf } from "../evaluation/index.js";
import { type GateResult, runGate } from "./gate/gate.js";
import { gains } from "./gate/judge.js";
import { headModel } from "./head/head.js";
import { type HeadContext, openHeadContext } from "./head/head-context.js";
import { HeadWork } from "./head/head-work.js";
import { planOf } from "./head/plan.js";
import { startLanes, type ThreadLane } from "./head/thread-lane.js";
import type { TrainedHead } from "./head/training-run.js";
import { reportedRecipe } from "./losses/recipe.js";
import type { FineTuneResult, FineTuneTask } from "./task/fine-tune-task.js";
import type { FineTuneHooks } from "./task/hooks.js";
import { peakMemoryBytes } from "./task/peak-memory.js";

/**
 * Runs a fine-tune in this process: the gate, and when it opens (or `promote` is `always`) the training on all feedback,
 * the re-embedding of every live item, and a check of what was written. Meant for a process of its own: ONNX Runtime
 * holds the thread. See `spawnFineTune`.
 * @param beside what `startLanes` gave for this task, where it was called before; ended when this settles
 * @throws invalid_setting, not_enough_feedback, contradictory_feedback, fine_tune_failed; the signal's reason
 */
export async function runFineTune(
  task: FineTuneTask,
  hooks: FineTuneHooks = {},
  beside: readonly ThreadLane[] = startLanes(task),
): Promise<FineTuneResult> {
  if (task.options.scope === "encoder") {
    // Loading what trains encoders would keep a head waiting.
    const { runEncoderFineTune } = await import("./encoder/run-encoder-fine-tune.js");
    return runEncoderFineTune(task, hooks);
  }
  try {
    return await runHeadFineTune(task, hooks, beside);
  } finally {
    await Promise.all(beside.map((lane) => lane.close()));
  }
}

async function runHeadFineTune(
  task: FineTuneTask,
  hooks: FineTuneHooks,
  beside: readonly ThreadLane[],
): Promise<FineTuneResult> {
  const startedAt = performance.now();
  hooks.signal?.throwIfAborted();
  const context = await openHeadContext(task, hooks, { beside: beside.length });
  try {
    hooks.onPlan?.(planOf(context));
    const result = await trainAndWrite(context, context.lanes > 1 ? beside : []);
    result.timings.totalMs = performance.now() - startedAt;
    result.peakMemoryBytes = peakMemoryBytes();
    return result;
  } finally {
    await context.close();
  }
}

async function trainAndWrite(context: HeadContext, beside: readonly ThreadLane[]): Promise<FineTuneResult> {
  const work = new HeadWork(context, beside);
  try {
    const gate = await runGate(context, work);
    return gate.head === undefined ? refuse(context, gate) : await build(context, work, gate, gate.head);
  } finally {
    await work.close();
  }
}

function refuse(context: HeadContext, gate: GateResult): FineTuneResult {
  return {
    outcome: "rejected",
    reason: gate.reason,
    written: false,
    metrics: gate.metrics,
    lossCurve: gate.lossCurve,
    steps: 0,
    foldSteps: gate.foldSteps,
    provider: gate.trainer.provider,
    recipe: reportedRecipe(gate.trainer.options.recipe, context.task.metric, context.base.scale),
    ...(gate.tried && { tried: gate.tried }),
    timings: { trainingMs: gate.trainingMs, evaluatingMs: gate.evaluatingMs, reEmbeddingMs: 0, totalMs: 0 },
  };
}

/** Writes head and vectors, and checks them. */
async function build(
  context: HeadContext,
  work: HeadWork,
  gate: GateResult,
  head: TrainedHead,
): Promise<FineTuneResult> {
  const { task, meter, labels, judgedBy, options } = context;
  const result = { ...refuse(context, gate), written: true };
  const writeAt = performance.now();
  await writeFile(task.output.model, headModel(head.weights, task.dimensions), { flush: true });
  meter.begin("reEmbedding", labels.length, "rows");
  await work.writeVectors();
  const checkAt = performance.now();
  const improvement = meanOf(gains(gate.ranksBefore, await work.ranksWritten(head.weights), judgedBy));
  result.metrics = { ...gate.metrics, finalImprovement: improvement };
  result.lossCurve = head.curve;
  result.steps = head.steps;
  result.timings.reEmbeddingMs = checkAt - writeAt;
  result.timings.evaluatingMs += performance.now() - checkAt;
  const kept = improvement >= options.minGain;
  if (gate.passed && kept) return { ...result, outcome: "passed", reason: undefined };
  const broken = `The vectors written improve the log-rank of all anchors by ${improvement.toFixed(4)} only, below minGain`;
  return { ...result, outcome: "rejected", reason: gate.reason ?? broken };
}
