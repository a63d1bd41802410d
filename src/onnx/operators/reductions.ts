import { type Dimension, productOf, type Shape } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

function reducedShape(context: OperatorContext, shape: Shape, axes: readonly number[], keepDims: boolean): Dimension[] {
  const reduced = new Set(context.axes(axes, shape.length));
  return shape.flatMap((dimension, axis) => (reduced.has(axis) ? (keepDims ? [1] : []) : [dimension]));
}

const reduce: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const keepDims = context.integer("keepdims", 1) !== 0;
  // Until opset 13 or 18 the axes are an attribute, since then an input.
  const given = context.inputs[1] === undefined ? context.integers("axes") : context.numbers(context.inputs[1]);
  if (given === undefined && context.inputs[1] !== undefined) context.fail("the axes must be known while building");
  const noop = context.integer("noop_with_empty_axes", 0) !== 0;
  if ((given === undefined || given.length === 0) && noop) return [{ dtype: x.dtype, shape: x.shape }];
  const axes = given === undefined || given.length === 0 ? x.shape.map((_, axis) => axis) : given;
  return [{ dtype: x.dtype, shape: reducedShape(context, x.shape, axes, keepDims) }];
};

/** The product of a shape is the number of elements, which graphs compute to flatten. */
const product: Inference = (context: OperatorContext) => {
  const [type] = reduce(context);
  const x = context.input(0);
  const content = context.content(x);
  if (type === undefined) return [];
  return [{ ...type, content: content === undefined ? undefined : [productOf(content)] }];
};

const position: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const keepDims = context.integer("keepdims", 1) !== 0;
  return [{ dtype: "int64", shape: reducedShape(context, x.shape, [context.integer("axis", 0)], keepDims) }];
};

const topK: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const axis = context.axis(context.integer("axis", -1), x.shape.length);
  const k = context.content(context.ofType(context.input(1), "int64"))?.[0] ?? context.freshDimension();
  const size = context.dimension(x, axis);
  if (typeof k === "number" && typeof size === "number" && k > size)
    context.fail(`k is ${k}, but the axis has ${size}`);
  const shape = x.shape.with(axis, k);
  return [
    { dtype: x.dtype, shape },
    { dtype: "int64", shape },
  ];
};

const alongAxis: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  context.axis(context.integer("axis", -1), x.shape.length);
  return [{ dtype: context.floating(x), shape: x.shape }];
};

const layerNormalization: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const dtype = context.floating(x);
  const axis = context.axis(context.integer("axis", -1), x.shape.length);
  for (const parameter of [context.input(1), context.inputs[2]]) {
    if (parameter === undefined) continue;
    context.ofType(parameter, dtype);
    const shape = context.broadcast([{ ...x, shape: x.shape.slice(axis) }, parameter]);
    if (shape.length !== x.shape.length - axis) context.fail(`"${parameter.name}" has too many axes`);
  }
  const statistics = { dtype: "float32" as const, shape: x.shape.map((size, at) => (at < axis ? size : 1)) };
  return [{ dtype, shape: x.shape }, statistics, statistics];
};

const cumulativeSum: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  context.integral(context.input(1));
  return [{ dtype: x.dtype, shape: x.shape }];
};

/** Operators that sum up, search or normalise along axes. */
export const reductions: Readonly<Record<string, Inference>> = {
  ...Object.fromEntries(
    ["Sum", "Mean", "Max", "Min", "SumSquare", "L1", "L2", "LogSum", "LogSumExp"].map((name) => [
      `Reduce${name}`,
      reduce,
    ]),
  ),
  ReduceProd: product,
  ArgMax: position,
  ArgMin: position,
  TopK: topK,
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  LayerNormalization: layerNormalization,
  CumSum: cumulativeSum,
};
