import type { Metric } from "../../vector/metric.js";
import type { TensorOperations } from "../engines/tensor-operations.js";
import type { FineTuneOptions, LossName } from "../task/options.js";

/** What a loss looks at: n anchors with a positive each, and m candidates to be told apart from. */
export interface LossInput<T> {
  /** Rows (n, d): of unit length under cosine, unless the loss wants them raw (see {@link LossDefinition}). */
  anchors: T;
  /** Rows (n, d); row i belongs to anchor i. */
  positives: T;
  /** Rows (m, d). */
  candidates: T;
  /** (n, m): 1 where the candidate is a negative of the anchor, else 0. A line of zeros leaves its anchor out. */
  negatives: T;
}

export interface LossSettings<T> {
  metric: Metric;
  /** In distance units, a scalar. */
  margin: T;
  /** What similarities are divided by, a scalar. */
  temperature: T;
  /** Which of the negatives count. */
  batchNegatives: FineTuneOptions["batchNegatives"];
}

/** A loss over rows: returns a scalar; 0 with gradient 0 where a batch holds no valid pair. */
export type Loss = <T>(ops: TensorOperations<T>, input: LossInput<T>, settings: LossSettings<T>) => T;

/** What a loss is set to unless somebody says otherwise; what a loss has no use for is missing. */
export interface LossDefaults {
  /** In cosine distance, or in median distances of two random items of the collection. */
  margin?: number;
  /** In cosine, or in median distances (for `n-pair`: squared ones). */
  temperature?: number;
}

export interface LossDefinition {
  name: LossName;
  loss: Loss;
  /** Takes rows as they come even under cosine: their lengths are part of the loss. */
  raw: boolean;
  defaults: Readonly<Record<Metric, LossDefaults>>;
}
