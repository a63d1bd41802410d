/** How a training's rate goes over its steps. */
export interface Schedule {
  /** Steps of the whole training, at least 1. */
  steps: number;
  /** Share of them in which the rate grows, 0 to 1. */
  warmup: number;
  /** The highest rate, above 0. */
  learningRate: number;
}

/**
 * The rate of step `step` (from 1): it grows in a line over the first `warmup * steps` steps, then falls to 0 along half a cosine,
 * which it would reach in the step after the last.
 * @see Loshchilov, Hutter, "SGDR", ICLR 2017, equation 5, without restarts; the warm-up: Goyal et al. 2017
 */
export function rateAt(step: number, { steps, warmup, learningRate }: Schedule): number {
  const rising = Math.min(Math.round(warmup * steps), steps);
  if (step <= rising) return (learningRate * step) / rising;
  const done = (step - rising - 1) / Math.max(1, steps - rising);
  return (learningRate * (1 + Math.cos(Math.PI * done))) / 2;
}
