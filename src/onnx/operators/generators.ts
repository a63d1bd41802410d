import { dataTypeOfCode, isFloating } from "../format/data-type.js";
import { tensorOfProto } from "../format/tensor-proto.js";
import { productOf } from "../shape.js";
import type { AttributeValue } from "../value.js";
import { type Inference, MAX_CONTENT, type OperatorContext } from "./operator-context.js";

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
  const [length = 1] = shape;
  const followed = rank <= 1 && !isFloating(dtype) && typeof length === "number" && length <= MAX_CONTENT;
  return [{ dtype, shape, content: followed ? Array(length).fill(fillOf(value)) : undefined }];
};

/** The number that ConstantOfShape fills with. */
function fillOf(value: AttributeValue | undefined): number {
  const tensor = typeof value === "object" && "tensor" in value ? tensorOfProto(value.tensor) : undefined;
  return Number(tensor?.data[0] ?? 0);
}

const range: Inference = (context: OperatorContext) => {
  const bounds = [context.input(0), context.input(1), context.input(2)];
  const dtype = context.sameType(bounds);
  for (const bound of bounds) if (bound.shape.length !== 0) context.fail(`"${bound.name}" must be a scalar`);
  const [start, end, step] = bounds.map((bound) => context.content(bound)?.[0]);
  if (start === 0 && step === 1 && end !== undefined) return [{ dtype, shape: [end] }];
  if (typeof start === "number" && typeof end === "number" && typeof step === "number") {
    const length = Math.max(0, Math.ceil((end - start) / step));
    const content = length <= MAX_CONTENT ? Array.from({ length }, (_, at) => start + at * step) : undefined;
    return [{ dtype, shape: [length], content }];
  }
  return [{ dtype, shape: [context.freshDimension()] }];
};

/** Operators that make tensors from shapes and bounds. */
export const generators: Readonly<Record<string, Inference>> = {
  Shape: shapeOf,
  Size: (context) => [{ dtype: "int64", shape: [], content: [productOf(context.input(0).shape)] }],
  ConstantOfShape: constantOfShape,
  Range: range,
};
