import { activations } from "./activations.js";
import { convolutions } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { generators } from "./generators.js";
import { indexing } from "./indexing.js";
import { layout } from "./layout.js";
import { linear } from "./linear.js";
import { normalization } from "./normalization.js";
import type { Inference } from "./operator-context.js";
import { pooling } from "./pooling.js";
import { reductions } from "./reductions.js";
import { resizing } from "./resize.js";

export { type Inference, MAX_CONTENT, OperatorContext } from "./operator-context.js";

const IMAGES = [activations, convolutions, normalization, pooling, resizing];
const INFERENCES: ReadonlyMap<string, Inference> = new Map(
  [elementwise, generators, indexing, layout, linear, reductions, ...IMAGES].flatMap((family) =>
    Object.entries(family),
  ),
);

/** How an operator of the ONNX domain types its outputs, or undefined where that is not known here. */
export function inferenceOf(opType: string): Inference | undefined {
  return INFERENCES.get(opType);
}
