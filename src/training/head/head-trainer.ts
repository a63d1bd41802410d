import type { Batch } from "../batches/batch.js";
import type { EngineOptions } from "../engines/engine.js";
import type { Recipe } from "../losses/recipe.js";
import type { BaseRows } from "../rows/base-rows.js";
import type { FineTuneOptions } from "../task/options.js";

export interface HeadTrainerOptions extends EngineOptions {
  recipe: Recipe;
  batchNegatives: FineTuneOptions["batchNegatives"];
  /** Anchors of a batch, at most; a batch has at most three rows for each. */
  batchSize: number;
  /** AdamW's decay of the deviation from the identity. */
  identityPenalty: number;
}

/** One head in training. */
export interface HeadTraining {
  /** Steps made. */
  readonly steps: number;
  /** One step on each of some batches of rows of `base`, at most `stepsAtOnce`; resolves with the loss before each step. */
  advance(batches: readonly Batch[], base: BaseRows): Promise<number[]>;
  /** The weights (d x d) now, as a copy that is the caller's. */
  weights(): Promise<Float32Array>;
  /** Frees what the engine holds for it. */
  release(): void;
}

/** Makes training steps of linear heads by one recipe, for any number of trainings, one after the other. */
export interface HeadTrainer {
  /** ONNX Runtime's provider, or TensorFlow.js's backend. */
  readonly provider: string;
  readonly options: HeadTrainerOptions;
  /** Steps that are best made in one call. */
  readonly stepsAtOnce: number;
  /** Begins a training at given weights (d x d). */
  start(weights: Float32Array): HeadTraining;
  close(): Promise<void>;
}

/** Rows that a batch may have: an anchor, a positive and a negative for each line. */
export function rowCapacity(batchSize: number): number {
  return 3 * batchSize;
}
