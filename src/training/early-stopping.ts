/** Steps between two looks, so that a training is looked at about twenty times. */
export function checkpointInterval(maximumSteps: number): number {
  return Math.min(50, Math.max(1, Math.ceil(maximumSteps / 20)));
}

/**
 * Keeps the best of a training's checkpoints and says when to give up: after `patience` looks without a better one. The
 * start counts as a checkpoint of gain 0, so a training that never helps ends with no steps at all.
 */
export class EarlyStopping<Kept> {
  readonly #patience: number;
  #bestGain = 0;
  #best: { steps: number; kept: Kept };
  #sinceBest = 0;

  constructor(start: Kept, patience: number) {
    this.#best = { steps: 0, kept: start };
    this.#patience = patience;
  }

  get best(): { steps: number; kept: Kept } {
    return this.#best;
  }

  /** Takes in a checkpoint; `keep` is called only when it is the best so far. Returns whether training should go on. */
  look(steps: number, gain: number, keep: () => Kept): boolean {
    if (gain > this.#bestGain) {
      this.#bestGain = gain;
      this.#best = { steps, kept: keep() };
      this.#sinceBest = 0;
      return true;
    }
    this.#sinceBest++;
    return this.#sinceBest < this.#patience;
  }
}
