import type { Metric } from "../../vector/metric.js";
import type { FineTuneOptions, LossName } from "../task/options.js";
import { type Recipe, recipeOf } from "./recipe.js";

interface Tried {
  loss: LossName;
  /** Multiple of the `learningRate` of the options. */
  rate: number;
  /** Where the options do not say, and the loss's default is not meant. */
  margin?: number;
  temperature?: number;
}

/**
 * What `loss: "auto"` tries: losses that differ in kind. Each costs as much as a fine-tune of its own, so the list is short. The first is
 * the plain one, the careful one; the others go further, with softer choices and larger steps.
 */
const TRIED: readonly Tried[] = [
  { loss: "triplet", rate: 1 },
  { loss: "triplet", rate: 2, margin: 0.4 },
  { loss: "info-nce", rate: 3, temperature: 0.2 },
  { loss: "lifted-structured", rate: 3, temperature: 0.2 },
];

/** The recipes that options ask for: one, or with `auto` the short list. */
export function recipesToTry(options: FineTuneOptions, metric: Metric, scale: number): Recipe[] {
  if (options.loss !== "auto") return [recipeOf(options.loss, options, metric, scale)];
  return TRIED.map(({ loss, rate, margin, temperature }) => {
    // As people would write it: 3 x .0003 is .0008999... in binary.
    const learningRate = Number((rate * options.learningRate).toPrecision(6));
    const wanted = {
      learningRate,
      margin: options.margin ?? (margin === undefined ? undefined : margin * scale),
      temperature: options.temperature ?? temperature,
    };
    return recipeOf(loss, wanted, metric, scale);
  });
}
