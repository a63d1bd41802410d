import { Random } from "../vector/random.js";

export interface BootstrapResult {
  mean: number;
  /** The mean is above this with the confidence asked for. */
  low: number;
  /** The mean is below this with the confidence asked for. */
  high: number;
}

export interface BootstrapOptions {
  seed: number;
  /** Of each bound by itself (one-sided), above .5 and below 1. @default .95 */
  confidence?: number;
  /** At least 100. @default 10,000 */
  resamples?: number;
}

/**
 * Percentile bootstrap of the mean of paired differences (after minus before of the same anchor): resamples the
 * differences with replacement and takes the quantiles of their means. Same seed, same bounds.
 * @param differences one number for each pair, at least one, all finite
 * @see Efron, Tibshirani 1993, chapter 13
 */
export function bootstrap(differences: ArrayLike<number>, options: BootstrapOptions): BootstrapResult {
  const { seed, confidence = 0.95, resamples = 10_000 } = options;
  const count = differences.length;
  if (count === 0) throw new RangeError("bootstrap needs at least one difference");
  if (!(confidence > 0.5 && confidence < 1)) throw new RangeError(`confidence is ${confidence}; expected .5 to 1`);
  if (!(resamples >= 100)) throw new RangeError(`resamples is ${resamples}; expected at least 100`);
  const mean = meanOf(differences);
  if (!Number.isFinite(mean)) throw new RangeError("bootstrap needs finite differences");
  const random = new Random(seed);
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += differences[random.integer(count)] as number;
    means[r] = sum / count;
  }
  means.sort();
  return { mean, low: quantile(means, 1 - confidence), high: quantile(means, confidence) };
}

/** Arithmetic mean; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** Quantile of ascending values with linear interpolation (type 7 of Hyndman, Fan 1996). */
function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (position - below);
}
