import { readFile } from "node:fs/promises";
import { AttuneError } from "../errors/index.js";
import { openSession, type ProviderChoice } from "../runtime/index.js";
import { Random } from "../vector/random.js";
import { Engine, floats, tensor } from "./engines/engine.js";
import { FeedbackGraph } from "./feedback/feedback-graph.js";
import { type TrainingLine, trainingLines } from "./feedback/training-lines.js";
import { type JudgedRelation, judgedItems, requireAnchors } from "./gate/judgement.js";
import { identityWeights } from "./head/head.js";
import { openMiner } from "./miners/index.js";
import type { NegativeMiner } from "./miners/negative-miner.js";
import { BaseRows } from "./rows/base-rows.js";
import { LiveRows, MemoryRows, RowFile, readLabels } from "./rows/row-files.js";
import type { FineTuneTask, NumberedFeedback } from "./task/fine-tune-task.js";
import { type FineTuneHooks, pauseBetweenSteps } from "./task/hooks.js";
import { type FineTuneOptions, resolveOptions } from "./task/options.js";
import { ProgressMeter } from "./task/progress-meter.js";

/** Independent streams of random numbers from one seed, each for one purpose. */
export const STREAMS = {
  scale: 1,
  lines: 2,
  folds: 3,
  judgements: 4,
  sample: 5,
  untouched: 6,
  refit: 7,
  field: 8,
  fold: 16,
} as const;

/** The random stream of a purpose: changing how much one purpose draws leaves the others as they were. */
export function randomStream(seed: number, stream: number): Random {
  return new Random((seed % 0x1_0000_0000) + stream * 0x1_0000_0000);
}

/** Everything the parts of a fine-tune share, whatever is trained: the task, its data, and the open sessions. */
export interface FineTuneContext {
  task: FineTuneTask;
  options: FineTuneOptions;
  provider: ProviderChoice;
  rowFile: RowFile;
  labels: Uint32Array;
  base: BaseRows;
  /** Extra rows as given. */
  extra: Float32Array;
  graph: FeedbackGraph;
  judgedBy: JudgedRelation;
  /** Items that can be judged, ascending. */
  anchors: number[];
  lines: TrainingLine[];
  miner: NegativeMiner;
  engine: Engine;
  /** Weights (d x d) of the active generation's head. */
  active: Float32Array;
  meter: ProgressMeter;
  /** Aborted when the fine-tune is cancelled. */
  signal: AbortSignal | undefined;
  /** To be awaited between steps and blocks: throws when cancelled. */
  pause: () => Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads a task's files, checks them, and opens the sessions.
 * @param mined negatives that were mined for the same task, so that the collection is not scanned again
 * @throws invalid_setting, not_enough_feedback, contradictory_feedback, fine_tune_failed (files that do not fit the task)
 */
export async function openContext(
  task: FineTuneTask,
  hooks: FineTuneHooks,
  mined?: NegativeMiner,
): Promise<FineTuneContext> {
  const { dimensions, metric, seed, threads } = task;
  const options = resolveOptions({ learningRate: task.encoder?.model.learningRate, ...task.options });
  const provider = task.provider ?? "cpu";
  const pause = pauseBetweenSteps(hooks.signal);
  const { rowFile, labels, base, extra, feedback } = await readInputs(task);
  const graph = new FeedbackGraph(feedback);
  const { judgedBy, anchors } = judgedItems(graph);
  if (options.source !== "augmentation") requireAnchors(anchors.length);
  const lines = trainingLines(graph, randomStream(seed, STREAMS.lines));
  const engine = await Engine.open({ dimensions, metric, provider, threads });
  const miner = mined ?? (await openMiner(options.miner, engine, base, lines, pause));
  return {
    task,
    options,
    provider,
    rowFile,
    labels,
    base,
    extra,
    graph,
    judgedBy,
    anchors,
    lines,
    miner,
    engine,
    active: await readActiveHead(task),
    meter: new ProgressMeter(hooks.onProgress ?? (() => {})),
    signal: hooks.signal,
    pause,
    close: async () => {
      rowFile.close();
      await engine.close();
    },
  };
}

async function readInputs(task: FineTuneTask) {
  const { dimensions, metric, extraRows, seed } = task;
  const labels = readLabels(task.liveLabels);
  const rowFile = new RowFile(task.rows, dimensions);
  const feedback = JSON.parse(await readFile(task.feedback, "utf8")) as NumberedFeedback;
  const largest = labels.reduce((most, label) => Math.max(most, label), -1);
  if (largest >= rowFile.count) {
    throw unfit(`${task.rows} holds ${rowFile.count} rows of ${dimensions} numbers, and label ${largest} is live`);
  }
  const extra = new Float32Array((extraRows?.count ?? 0) * dimensions);
  if (extraRows !== undefined && extraRows.count > 0) {
    const file = new RowFile(extraRows.path, dimensions);
    try {
      file.read(0, extraRows.count, extra);
    } finally {
      file.close();
    }
  }
  checkNumbers(feedback, labels.length + (extraRows?.count ?? 0));
  const random = randomStream(seed, STREAMS.scale);
  const live = new LiveRows(rowFile, labels);
  const base = new BaseRows(live, new MemoryRows(extra, dimensions), dimensions, metric, random);
  return { rowFile, labels, base, extra, feedback };
}

function checkNumbers(feedback: NumberedFeedback, total: number): void {
  const check = (item: number, where: string) => {
    if (Number.isInteger(item) && item >= 0 && item < total) return;
    throw unfit(`${where} names item ${item}; there are ${total} items and extra rows`);
  };
  feedback.triplets.forEach((triplet, i) => {
    for (const item of triplet) check(item, `triplet ${i}`);
  });
  feedback.pairs.forEach(([a, b], i) => {
    check(a, `pair ${i}`);
    check(b, `pair ${i}`);
  });
  feedback.labels.forEach(([item], i) => {
    check(item, `label ${i}`);
  });
}

/** The active head as a matrix: what it makes of the unit vectors. */
async function readActiveHead(task: FineTuneTask): Promise<Float32Array> {
  const d = task.dimensions;
  const identity = identityWeights(d);
  if (task.activeHead === undefined) return identity;
  const session = await openSession(await readFile(task.activeHead), { provider: "cpu", threads: task.threads });
  try {
    return floats(await session.run({ base: tensor(identity, [d, d]) }), "vector").slice();
  } finally {
    await session.close();
  }
}

function unfit(message: string): AttuneError {
  return new AttuneError("fine_tune_failed", `The fine-tune's files do not fit together: ${message}`);
}
