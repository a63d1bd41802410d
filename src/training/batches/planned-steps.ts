import type { FineTuneOptions } from "../task/options.js";

const LONG_TRAINING = 1_000;

/**
 * Steps of `epochs` passes over `lines` lines. A batch holds few of each component, so few components make small batches and long epochs:
 * for heads, ten thousand items of two labels take 5,000 steps a pass. Beyond a thousand steps the passes are counted as if batches were full.
 */
export function plannedSteps(
  { epochs, batchSize }: Pick<FineTuneOptions, "epochs" | "batchSize">,
  lines: number,
  stepsPerEpoch: number,
): number {
  const inFullBatches = (epochs * lines) / batchSize;
  return Math.ceil(Math.min(epochs * stepsPerEpoch, Math.max(LONG_TRAINING, inFullBatches)));
}
