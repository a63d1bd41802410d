import { activations } from "./activations.js";
import { arithmetic } from "./arithmetic.js";
import { choice } from "./choice.js";
import { convolutions } from "./convolution.js";
import { einsums } from "./einsum.js";
import { elementary } from "./elementary.js";
import type { GradientRule } from "./gradient-rule.js";
import { indexing } from "./indexing.js";
import { layerNormalization } from "./layer-normalization.js";
import { layout } from "./layout.js";
import { linear } from "./linear.js";
import { normalization } from "./normalization.js";
import { pooling } from "./pooling.js";
import { reductions } from "./reductions.js";
import { resizing } from "./resize.js";

export { GradientContext, type GradientRule, isNarrower } from "./gradient-rule.js";

/** Steps and flat functions: their derivative is 0 wherever it exists. */
const FLAT = ["Sign", "Floor", "Ceil", "Round", "ConstantOfShape", "Shape", "Size"];
const flat: Readonly<Record<string, GradientRule>> = Object.fromEntries(FLAT.map((opType) => [opType, () => []]));

const IMAGES = [activations, convolutions, normalization, pooling, resizing];
const RULES: ReadonlyMap<string, GradientRule> = new Map(
  [
    arithmetic,
    choice,
    einsums,
    elementary,
    flat,
    indexing,
    layerNormalization,
    layout,
    linear,
    reductions,
    ...IMAGES,
  ].flatMap((family) => Object.entries(family)),
);

/** The gradient rule of an operator of the ONNX domain, or undefined where there is none. */
export function gradientRuleOf(opType: string): GradientRule | undefined {
  return RULES.get(opType);
}

/** The operators that can be differentiated. */
export function differentiableOperators(): string[] {
  return [...RULES.keys()].sort();
}
