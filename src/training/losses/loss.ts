import type { Metric } from "../../vector/metric.js";
import type { TensorOperations } from "../engines/tensor-operations.js";

/** What a loss looks at: n anchors with a positive each, and m candidates to be told apart from. */
export interface LossInput<T> {
  /** Embeddings (n, d). */
  anchors: T;
  /** Embeddings (n, d); row i belongs to anchor i. */
  positives: T;
  /** Embeddings (m, d). */
  candidates: T;
  /** (n, m): 1 where the candidate is a negative of the anchor, else 0. A row of zeros leaves its anchor out. */
  negatives: T;
}

export interface LossSettings<T> {
  metric: Metric;
  /** In distance units, a scalar. */
  margin: T;
}

/** A loss over embeddings: returns a scalar; 0 with gradient 0 where a batch holds no valid pair. */
export type Loss = <T>(ops: TensorOperations<T>, input: LossInput<T>, settings: LossSettings<T>) => T;
