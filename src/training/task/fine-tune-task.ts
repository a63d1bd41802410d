import type { ModelDescription } from "../../encoder/index.js";
import type { Metric } from "../../vector/metric.js";
import type { GivenOptions, LossName } from "./options.js";

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
  options: GivenOptions;
  /** What scope "encoder" needs beside the rest. */
  encoder?: EncoderTask;
  /** Files to write: the head or the tuned encoder as ONNX, and every live item's vector (row number = label, raw output of the model). */
  output: { model: string; vectors: string };
}

/** The encoder to train, and what it reads. */
export interface EncoderTask {
  /** Where training starts: the base encoder, or with `from: "active"` the active generation's. */
  model: ModelDescription;
  /**
   * File of one JSON line for each live item, in the order of the live labels, then one for each extra row: `{"text": "..."}`
   * with the prompt that belongs before it, or `{"image": "/absolute/path"}`; `{}` for an extra row that was given as a vector.
   */
  contents: string;
  /**
   * Vectors of the active generation where its encoder is a tuned one: of items (row number = label), and of extra rows. Without
   * it the active embedding is the base rows through `activeHead`, if any.
   */
  active?: { vectors: string; extraVectors?: string };
  /** Folder of the job for checkpoints: what is found there of the same task is gone on from. */
  checkpoints: string;
}

/** What a job says before its first step. */
export interface FineTunePlan {
  /** Steps of all trainings together, at most. */
  steps: number;
  /** Numbers that are trained. */
  parameters: number;
  /** Parts that each batch is worked off in, so that it fits into memory. */
  parts: number;
  /** Peak memory of the process that a training step is expected to reach. */
  memoryBytes: number;
  /** ONNX Runtime's provider, or TensorFlow.js's backend. */
  provider: string;
}

/** How held-out feedback fares in one embedding; means over the judged anchors. */
export interface FeedbackMetrics {
  /** Mean natural logarithm of the positives' rank among `rankedAmong` items (smaller is better; larger where `judgedBy` is `dissimilar`). */
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

export type JudgedBy = "similar" | "dissimilar" | "augmentation";

/** One judged anchor: an item by number, and the mean log-rank of its positives. */
export interface AnchorReport {
  anchor: number;
  before: number;
  after: number;
}

/** The judged anchors of one label. */
export interface LabelReport {
  label: string;
  anchors: number;
  /** Means over them. */
  before: number;
  after: number;
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
  /** Items that ranks were counted among: all, or a random choice of many. */
  rankedAmong: number;
  /**
   * What was judged: positives, or, in feedback without any, the items marked dissimilar, or, without any feedback, whether an
   * augmented item finds the item it came from.
   */
  judgedBy: JudgedBy;
  /** What improved and what got worse, label by label where labels were given, most items first; at most 100. */
  labels?: LabelReport[];
  /** The anchors that gained and that lost most, at most 10 each. */
  better?: AnchorReport[];
  worse?: AnchorReport[];
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
  /** ONNX Runtime's provider, or TensorFlow.js's backend, that did the work. */
  provider: string;
  /** What was trained with: with `loss: "auto"`, the recipe that was best on the validation part. */
  recipe: { loss: LossName; learningRate: number; margin?: number; temperature?: number };
  /** With `loss: "auto"`: every recipe that was tried, with its mean gain of the log-rank on the validation part. */
  tried?: { loss: LossName; learningRate: number; validation: number }[];
  /** Peak resident memory of the process, in bytes, measured. */
  peakMemoryBytes?: number;
  timings: { trainingMs: number; evaluatingMs: number; reEmbeddingMs: number; totalMs: number };
}

export type FineTunePhase = "training" | "evaluating" | "reEmbedding";

export interface FineTuneProgress {
  phase: FineTunePhase;
  done: number;
  total: number;
  unit: "steps" | "rows" | "items";
  /** Units a second in this phase. */
  rate?: number;
  /** Estimated time to the end of this phase. */
  etaMs?: number;
}
