import { type Dimension, formatShape } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const gather: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const indices = context.input(1);
  context.integral(indices);
  const axis = context.axis(context.integer("axis", 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const content = context.content(x);
  const picked = content === undefined ? undefined : context.numbers(indices)?.map((at) => content.at(at));
  return [{ dtype: x.dtype, shape, content: picked?.every((each) => each !== undefined) ? picked : undefined }];
};

const gatherElements: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const indices = context.input(1);
  context.integral(indices);
  context.axis(context.integer("axis", 0), x.shape.length);
  if (indices.shape.length !== x.shape.length) {
    context.fail(`the indices ${formatShape(indices.shape)} must have the rank of ${formatShape(x.shape)}`);
  }
  return [{ dtype: x.dtype, shape: indices.shape }];
};

const gatherND: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const indices = context.ofType(context.input(1), "int64");
  const batch = context.integer("batch_dims", 0);
  const depth = indices.shape.at(-1);
  if (typeof depth !== "number") context.fail("the last dimension of the indices must be known while building");
  return [{ dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)] }];
};

const scatter: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  context.integral(context.input(1));
  context.ofType(context.input(2), x.dtype);
  return [{ dtype: x.dtype, shape: x.shape }];
};

const slice: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const rank = x.shape.length;
  const starts = context.numbers(context.input(1));
  const ends = context.content(context.input(2));
  const count = context.input(1).shape[0];
  if (typeof count !== "number") context.fail("the number of sliced axes must be known while building");
  const axes =
    context.inputs[3] === undefined
      ? Array.from({ length: count }, (_, axis) => axis)
      : context.numbers(context.inputs[3]);
  if (axes === undefined) context.fail("the axes must be known while building");
  const steps = context.inputs[4] === undefined ? axes.map(() => 1) : context.numbers(context.inputs[4]);
  const shape = [...x.shape];
  for (const [at, axis] of axes.entries()) {
    const position = context.axis(axis, rank);
    const size = context.dimension(x, position);
    shape[position] = slicedSize(context, size, starts?.[at], ends?.[at], steps?.[at]);
  }
  return [{ dtype: x.dtype, shape, content: slicedContent(context.content(x), starts?.[0], ends?.[0], steps?.[0]) }];
};

function slicedContent(
  content: readonly Dimension[] | undefined,
  start: number | undefined,
  end: Dimension | undefined,
  step: number | undefined,
): readonly Dimension[] | undefined {
  if (content === undefined || start === undefined || typeof end !== "number") return undefined;
  if (step === -1 && start === -1 && end < -content.length) return content.toReversed();
  return step === 1 ? content.slice(start, end) : undefined;
}

/** Size of an axis after a slice, by ONNX's clamping of out-of-range bounds. */
function slicedSize(
  context: OperatorContext,
  size: Dimension,
  start: number | undefined,
  end: Dimension | undefined,
  step: number | undefined,
): Dimension {
  if (step === 0) context.fail("the step must not be 0");
  if (start === undefined || end === undefined || step === undefined) return context.freshDimension();
  if (typeof size === "string" || typeof end === "string") {
    const all = typeof end === "number" && end >= 2 ** 31 - 1;
    if (step === 1 && start === 0 && (end === size || all)) return size;
    // One element at either end: what is cut is not empty.
    if (step === 1 && ((start === 0 && end === 1) || (start === -1 && all))) return 1;
    // A table that is cut to the length of an input is at least that long.
    const cut = context.loose && step === 1 && start === 0 && typeof end === "string" && typeof size === "number";
    return cut ? end : context.freshDimension();
  }
  const clamp = (bound: number) => {
    const positive = bound < 0 ? bound + size : bound;
    return step > 0 ? Math.min(Math.max(positive, 0), size) : Math.min(Math.max(positive, -1), size - 1);
  };
  // The smallest int64 as an end means "down to and with the first element" of a backward slice.
  const last = step < 0 && end < -size ? -1 : clamp(end);
  return Math.max(0, Math.ceil((last - clamp(start)) / step));
}

const oneHot: Inference = (context: OperatorContext) => {
  const indices = context.input(0);
  const values = context.input(2);
  const depth = context.content(context.input(1))?.[0] ?? context.freshDimension();
  const rank = indices.shape.length + 1;
  const axis = context.axis(context.integer("axis", -1), rank);
  return [{ dtype: values.dtype, shape: indices.shape.toSpliced(axis, 0, depth) }];
};

const nonZero: Inference = (context: OperatorContext) => [
  { dtype: "int64", shape: [Math.max(1, context.input(0).shape.length), context.freshDimension()] },
];

/** Operators that select elements by position, or write them there. */
export const indexing: Readonly<Record<string, Inference>> = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter,
  ScatterND: scatter,
  Slice: slice,
  OneHot: oneHot,
  NonZero: nonZero,
};
