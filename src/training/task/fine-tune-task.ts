import { AttuneError } from "../../errors/index.js";
import type { Metric } from "../../vector/metric.js";

/** Where the improved embedding goes when the gate has spoken: see {@link FineTuneOptions.promote}. */
export type PromotePolicy = "if-better" | "always" | "never";

/** What a fine-tune can be told. Every field of a task's `options` may be left out; {@link resolveOptions} fills it in. */
export interface FineTuneOptions {
  /** What is trained: a projection head over the stored base vectors. @default "head" */
  scope: "head";
  /** @default "triplet" */
  loss: "triplet";
  /**
   * How much farther than the positive a negative must be, in distance units of the collection's metric, above 0.
   * @default .2 under cosine; under euclidean .2 times the median distance between two random items
   */
  margin?: number;
  /** Passes over the feedback, at most; early stopping may choose fewer. An integer of at least 1. @default 20 */
  epochs: number;
  /** Anchors in one training step. An integer of at least 2. @default 64 */
  batchSize: number;
  /** AdamW's rate, above 0. @default 3e-4 */
  learningRate: number;
  /** Where training starts: the untuned embedding, or the active generation's head. @default "base" */
  from: "base" | "active";
  /** The gate opens when the lower bound of the mean improvement of the log-rank is above this. @default 0 */
  minGain: number;
  /** The gate closes when more than this share of untouched items' ten neighbours would be replaced, 0 to 1. @default 1 */
  maxDrift: number;
  /** `always` trains and writes the head even when the gate says no; the others only when it says yes. @default "if-better" */
  promote: PromotePolicy;
}

/**
 * Feedback by number: `0 .. L-1` is a position in the live labels, `L ..` an extra row. Order is age: where two entries
 * name the same pair or the same item's label, the later one holds.
 */
export interface NumberedFeedback {
  pairs: [a: number, b: number, label: "similar" | "dissimilar"][];
  triplets: [anchor: number, positive: number, negative: number][];
  labels: [item: number, label: string][];
}

/** All a fine-tune process needs to know; a JSON file. Paths are absolute. */
export interface FineTuneTask {
  dimensions: number;
  metric: Metric;
  /** Same seed, same data, same thread count: the same weights, bit for bit on a CPU. */
  seed: number;
  /** Threads of ONNX Runtime, at least 1. */
  threads: number;
  /** `os.setPriority` of the process, -20 to 19. */
  niceness: number;
  /** ONNX Runtime's execution provider. @default "cpu" */
  provider?: "auto" | "cuda" | "webgpu" | "coreml" | "dml" | "cpu";
  /** File of base rows: little-endian float32, `dimensions` numbers a row, row number = label. */
  rows: string;
  /** File of the labels of the live items: little-endian uint32. */
  liveLabels: string;
  /** Base vectors of what feedback refers to that is no item, laid out as `rows`. */
  extraRows?: { path: string; count: number };
  /** File of a {@link NumberedFeedback} as JSON. */
  feedback: string;
  /** The active generation's head.onnx; without it the active embedding is the base itself. */
  activeHead?: string;
  options: Partial<FineTuneOptions>;
  /** Files to write: the head as ONNX, and every live item's vector (row number = label, raw output of the head). */
  output: { head: string; vectors: string };
}

/** How held-out feedback fares in one embedding; means over the judged anchors. */
export interface FeedbackMetrics {
  /** Mean natural logarithm of the positives' rank among all items (smaller is better; larger where `judgedBy` is `dissimilar`). */
  logRank: number;
  /** Share of given triplets (and of positive and marked dissimilar of one anchor) in the right order; 0 when none is held out. */
  tripletAccuracy: number;
  /** Share of anchors whose nearest judged positive is the nearest item of all (known positives aside). */
  recallAt1: number;
  /** Share of anchors with a judged positive among the ten nearest. */
  recallAt10: number;
  /** Mean over anchors of 1 / rank of the nearest judged positive, 0 beyond rank 10. */
  mrrAt10: number;
}

/** What the gate saw. */
export interface FineTuneMetrics {
  /** The active generation on the held-out feedback. */
  before: FeedbackMetrics;
  /** The five fold heads, each on the feedback it did not see, pooled. */
  after: FeedbackMetrics;
  /** Mean gain of the log-rank in natural logarithms (positive is better) and its one-sided 95% bounds. */
  improvement: { mean: number; low: number; high: number };
  /** Mean share of replaced neighbours in the top 10 of a sample of items that no feedback touches, 0 to 1. */
  drift: number;
  /** Anchors judged, feedback groups (components of similar items) and pairs that contradict the closure and were left out. */
  anchors: number;
  groups: number;
  contradictions: number;
  /** Which relation was judged: positives, or, in feedback without any, the items marked dissimilar. */
  judgedBy: "similar" | "dissimilar";
  /** Gain of the log-rank of the final head on all anchors, read back from the vectors written. Absent when nothing was written. */
  finalImprovement?: number;
}

/** One point of the training curve: mean loss of the steps since the point before. */
export interface LossPoint {
  step: number;
  loss: number;
  /** Mean gain of the log-rank on the validation part since the start; in the trainings of folds. */
  validation?: number;
}

export interface FineTuneResult {
  /** The gate's verdict, and after it the check of what was written. */
  outcome: "passed" | "rejected";
  /** Why it was rejected, in a sentence. */
  reason?: string;
  /** Whether the head and the vectors were written (always when passed; when rejected, only with `promote: "always"`). */
  written: boolean;
  metrics: FineTuneMetrics;
  /** Of the final training; of the first fold where there was none. */
  lossCurve: LossPoint[];
  /** Steps of the final training, and those that each fold chose (as many passes over all feedback as over its own part). */
  steps: number;
  foldSteps: number[];
  /** ONNX Runtime's provider that did the work. */
  provider: string;
  timings: { trainingMs: number; evaluatingMs: number; reEmbeddingMs: number; totalMs: number };
}

export type FineTunePhase = "training" | "evaluating" | "reEmbedding";

export interface FineTuneProgress {
  phase: FineTunePhase;
  done: number;
  total: number;
  unit: "steps" | "rows";
  /** Units a second in this phase. */
  rate?: number;
  /** Estimated time to the end of this phase. */
  etaMs?: number;
}

export const FINE_TUNE_DEFAULTS: Readonly<FineTuneOptions> = {
  scope: "head",
  loss: "triplet",
  epochs: 20,
  batchSize: 64,
  learningRate: 3e-4,
  from: "base",
  minGain: 0,
  maxDrift: 1,
  promote: "if-better",
};

/**
 * Fills in the defaults and refuses what cannot be trained with.
 * @throws invalid_setting
 */
export function resolveOptions(options: Partial<FineTuneOptions>): FineTuneOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: FineTuneOptions = { ...FINE_TUNE_DEFAULTS, ...given };
  const need = (holds: boolean, name: keyof FineTuneOptions, expected: string) => {
    if (holds) return;
    throw new AttuneError("invalid_setting", `${name} is ${JSON.stringify(resolved[name])}; expected ${expected}`);
  };
  need(resolved.scope === "head", "scope", '"head"');
  need(resolved.loss === "triplet", "loss", '"triplet"');
  need(resolved.margin === undefined || isPositive(resolved.margin), "margin", "a finite number above 0");
  need(Number.isInteger(resolved.epochs) && resolved.epochs >= 1, "epochs", "an integer of at least 1");
  need(Number.isInteger(resolved.batchSize) && resolved.batchSize >= 2, "batchSize", "an integer of at least 2");
  need(isPositive(resolved.learningRate), "learningRate", "a finite number above 0");
  need(resolved.from === "base" || resolved.from === "active", "from", '"base" or "active"');
  need(Number.isFinite(resolved.minGain), "minGain", "a finite number");
  need(resolved.maxDrift >= 0 && resolved.maxDrift <= 1, "maxDrift", "a number from 0 to 1");
  need(["if-better", "always", "never"].includes(resolved.promote), "promote", '"if-better", "always" or "never"');
  return resolved;
}

function isPositive(value: number): boolean {
  return Number.isFinite(value) && value > 0;
}
