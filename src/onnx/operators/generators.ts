import { dataTypeOfCode } from "../data-type.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const shapeOf: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const content = x.shape.slice(context.integer("start", 0), context.integer("end", x.shape.length));
  return [{ dtype: "int64", shape: [content.length], content }];
};

const constantOfShape: Inference = (context: OperatorContext) => {
  const target = context.ofType(context.input(0), "int64");
  const value = context.attribute("value");
  const code = typeof value === "object" && "tensor" in value ? value.tensor.dataType : 1;
  const dtype = dataTypeOfCode(code ?? 1) ?? context.fail(`the data type ${code} is not supported`);
  const rank = target.shape[0];
  if (typeof rank !== "number") context.fail("the rank of the result must be known while building");
  const shape = context.content(target) ?? Array.from({ length: rank }, () => context.freshDimension());
  return [{ dtype, shape }];
};

const range: Inference = (context: OperatorContext) => {
  const bounds = [context.input(0), context.input(1), context.input(2)];
  const dtype = context.sameType(bounds);
  for (const bound of bounds) if (bound.shape.length !== 0) context.fail(`"${bound.name}" must be a scalar`);
  const [start, end, step] = bounds.map((bound) => context.content(bound)?.[0]);
  if (start === 0 && step === 1 && end !== undefined) return [{ dtype, shape: [end] }];
  if (typeof start === "number" && typeof end === "number" && typeof step === "number") {
    return [{ dtype, shape: [Math.max(0, Math.ceil((end - start) / step))] }];
  }
  return [{ dtype, shape: [context.freshDimension()] }];
};

/** Operators that make tensors from shapes and bounds. */
export const generators: Readonly<Record<string, Inference>> = {
  Shape: shapeOf,
  Size: () => [{ dtype: "int64", shape: [] }],
  ConstantOfShape: constantOfShape,
  Range: range,
};
