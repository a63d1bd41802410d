import { readFile, writeFile } from "node:fs/promises";
import { meanOf } from "../evaluation/index.js";
import { randomStream, STREAMS } from "./context.js";
import { type GateResult, runGate } from "./gate/gate.js";
import { gains, Judge } from "./gate/judge.js";
import { judgingField } from "./gate/samples.js";
import { headModel, identityWeights } from "./head/head.js";
import { type HeadContext, openHeadContext } from "./head/head-context.js";
import { planOf } from "./head/plan.js";
import { reEmbed } from "./head/re-embed.js";
import type { TrainedHead } from "./head/training-run.js";
import { reportedRecipe } from "./losses/recipe.js";
import { BaseRows } from "./rows/base-rows.js";
import { LiveRows, MemoryRows, RowFile } from "./rows/row-files.js";
import type { FineTuneResult, FineTuneTask } from "./task/fine-tune-task.js";
import type { FineTuneHooks } from "./task/hooks.js";
import { peakMemoryBytes } from "./task/peak-memory.js";

/**
 * Runs a fine-tune in this process: the gate, and when it opens (or `promote` is `always`) the training on all feedback,
 * the re-embedding of every live item, and a check of what was written. Meant for a process of its own: ONNX Runtime
 * holds the thread. See `spawnFineTune`.
 * @throws invalid_setting, not_enough_feedback, contradictory_feedback, fine_tune_failed; the signal's reason
 */
export async function runFineTune(task: FineTuneTask, hooks: FineTuneHooks = {}): Promise<FineTuneResult> {
  if (task.options.scope === "encoder") {
    // Loading what trains encoders would keep a head waiting.
    const { runEncoderFineTune } = await import("./encoder/run-encoder-fine-tune.js");
    return runEncoderFineTune(task, hooks);
  }
  const startedAt = performance.now();
  hooks.signal?.throwIfAborted();
  const context = await openHeadContext(task, hooks);
  try {
    hooks.onPlan?.(planOf(context));
    const gate = await runGate(context);
    const { head } = gate;
    const result = head === undefined ? refuse(context, gate) : await build(context, gate, head);
    result.timings.totalMs = performance.now() - startedAt;
    result.peakMemoryBytes = peakMemoryBytes();
    return result;
  } finally {
    await context.close();
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
async function build(context: HeadContext, gate: GateResult, head: TrainedHead): Promise<FineTuneResult> {
  const result = { ...refuse(context, gate), written: true };
  const writeAt = performance.now();
  await write(context, head);
  const checkAt = performance.now();
  const improvement = await finalImprovement(context, gate, head);
  result.metrics = { ...gate.metrics, finalImprovement: improvement };
  result.lossCurve = head.curve;
  result.steps = head.steps;
  result.timings.reEmbeddingMs = checkAt - writeAt;
  result.timings.evaluatingMs += performance.now() - checkAt;
  const kept = improvement >= context.options.minGain;
  if (gate.passed && kept) return { ...result, outcome: "passed", reason: undefined };
  const broken = `The vectors written improve the log-rank of all anchors by ${improvement.toFixed(4)} only, below minGain`;
  return { ...result, outcome: "rejected", reason: gate.reason ?? broken };
}

async function write(context: HeadContext, head: TrainedHead): Promise<void> {
  const { task, meter, labels, rowFile } = context;
  const model = headModel(head.weights, task.dimensions);
  await writeFile(task.output.model, model, { flush: true });
  meter.begin("reEmbedding", labels.length, "rows");
  await reEmbed({
    head: await readFile(task.output.model),
    dimensions: task.dimensions,
    rows: rowFile,
    labels,
    path: task.output.vectors,
    provider: context.provider,
    threads: task.threads,
    onBlock: async (rows) => {
      meter.advance(rows);
      await context.pause();
    },
  });
}

/** Reads the vectors back from the file and tells the mean gain of all judged anchors over the active head. */
async function finalImprovement(context: HeadContext, gate: GateResult, head: TrainedHead): Promise<number> {
  const { task, labels, engine, graph } = context;
  const { dimensions, metric } = task;
  const file = new RowFile(task.output.vectors, dimensions);
  try {
    const live = new LiveRows(file, labels);
    const extra = new MemoryRows(await engine.embed(context.extra, head.weights), dimensions);
    const vectors = new BaseRows(live, extra, dimensions, metric, randomStream(task.seed, STREAMS.scale));
    const judge = new Judge(engine, vectors, graph, context.pause);
    const look = await judge.look(identityWeights(dimensions), judgingField(vectors, task.seed), {
      judgements: gate.judgements,
    });
    return meanOf(gains(gate.ranksBefore, look.ranks, context.judgedBy));
  } finally {
    file.close();
  }
}
