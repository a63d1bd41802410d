import type { GateResult } from "../gate/gate.js";
import type { Judgement } from "../gate/judgement.js";
import type { LossPoint } from "../task/fine-tune-task.js";

/** A training as far as it got, beside its weights. */
export interface TrainingProgress {
  steps: number;
  curve: LossPoint[];
  /** Losses of the steps since the last point of the curve. */
  losses: number[];
  /** The best look so far: 0 steps where none was better than the start. */
  best: { steps: number; gain: number };
}

/** A training on the part that is not held out, when it has ended. */
export interface Trial {
  recipe: number;
  /** Steps that early stopping chose of those planned. */
  steps: number;
  plannedSteps: number;
  /** On the validation part. */
  gain: number;
  curve: LossPoint[];
}

/** What the gate said, as plain data. */
export type EncoderGate = Omit<GateResult, "trainer" | "head" | "foldSteps"> & {
  trial: Trial;
  /** All judged anchors. */
  judgements: readonly Judgement[];
};

/**
 * A job as far as it got. `leader` among a checkpoint's arrays are the weights of the best trial that has ended, `best` those of the
 * best look of the training under way.
 */
export interface JobProgress {
  trials: Trial[];
  /** Recipe of `leader`, if any. */
  leader?: Trial;
  gate?: EncoderGate;
  training?: TrainingProgress;
}
