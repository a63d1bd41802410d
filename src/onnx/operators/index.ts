import { elementwise } from "./elementwise.js";
import { generators } from "./generators.js";
import { indexing } from "./indexing.js";
import { layout } from "./layout.js";
import { linear } from "./linear.js";
import type { Inference } from "./operator-context.js";
import { reductions } from "./reductions.js";

export { type Inference, OperatorContext } from "./operator-context.js";

const INFERENCES: ReadonlyMap<string, Inference> = new Map(
  [elementwise, generators, indexing, layout, linear, reductions].flatMap((family) => Object.entries(family)),
);

/** How an operator of the ONNX domain types its outputs, or undefined where that is not known here. */
export function inferenceOf(opType: string): Inference | undefined {
  return INFERENCES.get(opType);
}
