import type { Metric } from "../../vector/metric.js";
import type { FineTuneOptions, LossName } from "../task/options.js";
import { type Recipe, recipeOf } from "./recipe.js";

interface Tried {
  loss: LossName;
  /** Multiple of the `learningRate` of the options. */
  rate: number;
  /** Multiple of the options' `weightDecay`, for heads. */
  penalty: number;
  /** Where the options do not say. */
  temperature?: number;
}

/**
 * What `loss: "auto"` tries. Each costs as much as a fine-tune of its own, so the list is short. The first is the plain one, the most
 * careful. The others never stop pulling; two of them are held to the identity more strongly, which is better for little feedback, and
 * worse for much. Larger steps and higher temperatures raise the log-rank of held-out positives further, but at the cost of the nearest
 * neighbours of what no feedback names, which it hardly sees; so they are not on the list.
 */
const TRIED: readonly Tried[] = [
  { loss: "triplet", rate: 1, penalty: 1 },
  { loss: "info-nce", rate: 1, penalty: 1, temperature: 0.1 },
  { loss: "info-nce", rate: 2, penalty: 10, temperature: 0.1 },
  { loss: "lifted-structured", rate: 1, penalty: 10, temperature: 0.1 },
];

/** The recipes that options ask for: one, or with `auto` the short list. */
export function recipesToTry(options: FineTuneOptions, metric: Metric, scale: number): Recipe[] {
  if (options.loss !== "auto") return [recipeOf(options.loss, options, metric, scale)];
  const { margin, weightDecay } = options;
  return TRIED.map(({ loss, rate, penalty, temperature }) => {
    const wanted = {
      margin,
      learningRate: rate * options.learningRate,
      temperature: options.temperature ?? temperature,
    };
    return { ...recipeOf(loss, wanted, metric, scale), identityPenalty: penalty * weightDecay };
  });
}
