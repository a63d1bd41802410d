/** Share of the newest weights in the mean, once it is under way. */
const NEWEST = 0.2;

/**
 * Exponential moving mean of the weights that a training passes through; the first few count alike. Single steps scatter around where a
 * training with a constant rate is heading, and the mean lies nearer to it.
 * @see Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992
 */
export class WeightAverage {
  readonly #mean: Float32Array;
  #count = 0;

  /** @param size numbers in the weights */
  constructor(size: number) {
    this.#mean = new Float32Array(size);
  }

  /** Takes in the weights of a moment, and gives the mean so far, as a copy. */
  add(weights: Float32Array): Float32Array {
    this.#count++;
    const share = Math.max(NEWEST, 1 / this.#count);
    for (let i = 0; i < weights.length; i++) {
      const mean = this.#mean[i] as number;
      this.#mean[i] = mean + share * ((weights[i] as number) - mean);
    }
    return this.#mean.slice();
  }
}
