import type { LossPoint } from "../task/fine-tune-task.js";

const LOOKS = 20;

/** Steps between two looks, so that a training is looked at about twenty times. */
export function checkpointInterval(maximumSteps: number): number {
  return Math.min(50, Math.max(1, Math.ceil(maximumSteps / LOOKS)));
}

/** The validation of one fold's training. */
export interface FoldCurve {
  curve: readonly LossPoint[];
  /** Steps it was allowed. */
  plannedSteps: number;
  /** Validation anchors that its gains are means over. */
  anchors: number;
}

/**
 * Where the folds together do best: the share of the planned training, 0 to 1, at which the mean validation gain over all
 * anchors of all folds is largest, and that gain; 0 where it never is above 0. One fold's best look is mostly noise when feedback
 * is scarce; a training that was given up counts with its last look from there on.
 */
export function bestTogether(folds: readonly FoldCurve[]): { share: number; gain: number } {
  const total = folds.reduce((sum, { anchors }) => sum + anchors, 0);
  let best = { share: 0, gain: 0 };
  for (let i = 1; i <= LOOKS; i++) {
    const share = i / LOOKS;
    let sum = 0;
    for (const { curve, plannedSteps, anchors } of folds) {
      sum += anchors * (curve.findLast((point) => point.step <= share * plannedSteps)?.validation ?? 0);
    }
    const gain = sum / Math.max(1, total);
    if (gain > best.gain) best = { share, gain };
  }
  return best;
}

/**
 * Keeps the best of a training's checkpoints and says when to give up: after `patience` looks without a better one. The
 * start counts as a checkpoint of gain 0, so a training that never helps ends with no steps at all.
 */
export class EarlyStopping<Kept> {
  readonly #patience: number;
  #best: { steps: number; gain: number; kept: Kept };
  #sinceBest = 0;

  constructor(start: Kept, patience: number) {
    this.#best = { steps: 0, gain: 0, kept: start };
    this.#patience = patience;
  }

  get best(): { steps: number; gain: number; kept: Kept } {
    return this.#best;
  }

  /** Takes in a checkpoint; `keep` is called only when it is the best so far. Returns whether training should go on. */
  look(steps: number, gain: number, keep: () => Kept): boolean {
    if (gain > this.#best.gain) {
      this.#best = { steps, gain, kept: keep() };
      this.#sinceBest = 0;
      return true;
    }
    this.#sinceBest++;
    return this.#sinceBest < this.#patience;
  }
}
