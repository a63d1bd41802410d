import { quotientOf } from "../shape.js";
import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** The axes a reduction went over, counted from the front; undefined where it did nothing. */
function reducedAxes(context: GradientContext): number[] | undefined {
  const x = context.input(0);
  const given = context.node.inputs[1];
  const axes = given === undefined ? context.integers("axes") : context.graph.contentOf(given)?.map(Number);
  if (axes !== undefined && axes.length > 0) return axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
  return context.integer("noop_with_empty_axes", 0) !== 0 ? undefined : x.shape.map((_, axis) => axis);
}

/** A reduced tensor with its reduced axes put back as axes of size 1, so that it broadcasts against the input. */
function restored(context: GradientContext, reduced: Value): Value {
  const axes = reducedAxes(context);
  const kept = axes === undefined || axes.length === 0 || context.integer("keepdims", 1) !== 0;
  return kept ? reduced : context.graph.unsqueeze(reduced, axes);
}

/** The reduced elements share the gradient evenly. */
const mean: GradientRule = (context: GradientContext) => {
  const { graph, output } = context;
  const x = context.input(0);
  return [
    () => {
      const count = quotientOf(x.shape, output.shape);
      if (typeof count === "number") return graph.mul(restored(context, context.narrowGradient), 1 / count);
      const size = (value: Value) => graph.cast(graph.operator("Size", [value]), x.dtype);
      return graph.mul(restored(context, context.narrowGradient), graph.div(size(output), size(x)));
    },
  ];
};

/** The gradient goes to the extreme element, and in equal parts to all of them at a tie. */
const extreme: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const x = context.input(0);
  return [
    () => {
      const chosen = context.indicator(graph.equal(x, restored(context, output)), x.dtype);
      const ties = graph.reduceSum(chosen, reducedAxes(context) ?? [], true);
      return graph.mul(restored(context, gradient), graph.div(chosen, ties));
    },
  ];
};

const sumSquare: GradientRule = (context: GradientContext) => [
  () => context.graph.mul(context.graph.mul(restored(context, context.gradient), 2), context.input(0)),
];

/** d|x| = x / |x| dx, and 0 where x is 0, as for Sqrt. */
const norm: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  return [
    () => {
      const positive = graph.greater(output, 0);
      const scale = graph.where(positive, graph.div(gradient, graph.where(positive, output, 1)), 0);
      return graph.mul(restored(context, scale), context.input(0));
    },
  ];
};

const logSumExp: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const share = () => graph.exp(graph.sub(context.input(0), restored(context, output)));
  return [() => graph.mul(restored(context, gradient), share())];
};

const cumulativeSum: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const exclusive = context.integer("exclusive", 0);
  const reverse = context.integer("reverse", 0) === 0 ? 1 : 0;
  return [() => graph.operator("CumSum", [gradient, context.input(1)], { exclusive, reverse }), undefined];
};

/** dx = y * (dy - sum(dy * y)). */
const softmax: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const axis = context.axis(-1, output.shape.length);
  return [
    () => {
      const total = graph.reduceSum(graph.mul(gradient, output), [axis], true);
      return graph.mul(output, graph.sub(gradient, total));
    },
  ];
};

/** dx = dy - softmax(x) * sum(dy). */
const logSoftmax: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const axis = context.axis(-1, output.shape.length);
  return [() => graph.sub(gradient, graph.mul(graph.exp(output), graph.reduceSum(gradient, [axis], true)))];
};

/** Sums, extremes and norms along axes, and softmax. */
export const reductions: Readonly<Record<string, GradientRule>> = {
  ReduceSum: (context: GradientContext) => [() => restored(context, context.narrowGradient), undefined],
  ReduceMean: mean,
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceSumSquare: sumSquare,
  ReduceL2: norm,
  ReduceLogSumExp: logSumExp,
  CumSum: cumulativeSum,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
};
