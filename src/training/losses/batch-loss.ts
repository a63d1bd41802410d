import type { TensorOperations } from "../engines/tensor-operations.js";
import { prepareRows } from "./distances.js";
import type { LossDefinition, LossSettings } from "./loss.js";

/** A batch as tensors: see `Batch`, whose rows are embedded here. */
export interface EmbeddedBatch<T> {
  /** Embeddings (R, d), as the model gives them. */
  rows: T;
  /** Positions (n) of anchors and positives among the rows, int32. */
  anchors: T;
  positives: T;
  /** (n, R). */
  negatives: T;
}

/** The loss of a batch: each row is prepared once, then anchors and positives are picked from them. A scalar. */
export function batchLoss<T>(
  ops: TensorOperations<T>,
  { loss, raw }: LossDefinition,
  { rows, anchors, positives, negatives }: EmbeddedBatch<T>,
  settings: LossSettings<T>,
): T {
  const candidates = raw ? rows : prepareRows(ops, settings.metric, rows);
  const input = {
    anchors: ops.gatherRows(candidates, anchors),
    positives: ops.gatherRows(candidates, positives),
    candidates,
    negatives,
  };
  return loss(ops, input, settings);
}
