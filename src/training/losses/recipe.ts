import type { Metric } from "../../vector/metric.js";
import type { FineTuneResult } from "../task/fine-tune-task.js";
import type { FineTuneOptions, LossName } from "../task/options.js";
import { LOSSES } from "./index.js";

/** The margin of semi-hard negatives for losses that have none of their own. */
const SEMI_HARD_MARGIN = 0.2;

/** A loss with its numbers, for rows as `BaseRows` prepares them. */
export interface Recipe {
  loss: LossName;
  /** AdamW's rate, above 0. */
  learningRate: number;
  /** In cosine distance, or in median distances of two random items. */
  margin: number;
  temperature: number;
  /** How strongly a head is held to the identity, where not as the options say: their `weightDecay` of scope "head". */
  identityPenalty?: number;
}

/**
 * The recipe that options ask for, what they leave out by the loss's defaults.
 * @param scale distance units of the collection in one unit of the prepared rows: `BaseRows.scale`
 */
export function recipeOf(
  loss: LossName,
  { learningRate, margin, temperature }: Pick<FineTuneOptions, "learningRate" | "margin" | "temperature">,
  metric: Metric,
  scale: number,
): Recipe {
  const defaults = LOSSES[loss].defaults[metric];
  return {
    loss,
    learningRate,
    margin: margin === undefined ? (defaults.margin ?? SEMI_HARD_MARGIN) : margin / scale,
    temperature: temperature ?? defaults.temperature ?? 1,
  };
}

/** A recipe as results tell it: the margin in distance units of the collection; without what the loss has no use for. */
export function reportedRecipe(recipe: Recipe, metric: Metric, scale: number): FineTuneResult["recipe"] {
  const { loss, learningRate, margin, temperature } = recipe;
  const { defaults } = LOSSES[loss];
  return {
    loss,
    learningRate,
    ...(defaults[metric].margin !== undefined && { margin: margin * scale }),
    ...(defaults[metric].temperature !== undefined && { temperature }),
  };
}
