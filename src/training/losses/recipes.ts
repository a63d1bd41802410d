import type { Metric } from "../../vector/metric.js";
import type { FineTuneOptions, LossName } from "../task/options.js";
import { type Recipe, recipeOf } from "./recipe.js";

/** What `loss: "auto"` tries: losses that differ in kind, each at its best rate; what is tried is multiplied in cost. */
const TRIED: readonly { loss: LossName; rate: number }[] = [
  { loss: "triplet", rate: 1 },
  { loss: "info-nce", rate: 1 },
  { loss: "info-nce", rate: 2 },
  { loss: "lifted-structured", rate: 1 },
];

/** The recipes that options ask for: one, or with `auto` a short list, whose rates are multiples of `learningRate`. */
export function recipesToTry(options: FineTuneOptions, metric: Metric, scale: number): Recipe[] {
  if (options.loss !== "auto") return [recipeOf(options.loss, options, metric, scale)];
  return TRIED.map(({ loss, rate }) =>
    recipeOf(loss, { ...options, learningRate: rate * options.learningRate }, metric, scale),
  );
}
