import type { Shape } from "../shape.js";
import type { Value } from "../value.js";
import { placesOf, unreached, type Window, windowOf } from "../window.js";
import { type GradientContext, type GradientRule, isKnown } from "./gradient-rule.js";

/**
 * Each element of dY goes to the element that was the largest, the first of several. Where windows overlap, the parts are added one
 * after the other, as ScatterElements does on a CPU, so that every run gives the same bits.
 */
const maxPool: GradientRule = (context: GradientContext) => {
  const { graph, gradient, node } = context;
  const x = context.input(0);
  return [
    () => {
      if (context.integer("storage_order", 0) !== 0) context.fail("storage_order 1 is not supported");
      // The positions, counted through the whole of x, are the second output, which the node in the graph need not have.
      const [, positions] = graph.node("MaxPool", [x], node.attributes, 2);
      const flat = (value: Value) => graph.reshape(value, [-1]);
      const updates = flat(gradient);
      const indices = graph.withShape(flat(positions ?? context.fail("its positions are missing")), updates.shape);
      const sum = graph.scatterElements(flat(context.zerosLike(x)), indices, updates, { reduction: "add" });
      return graph.reshape(sum, context.shapeOf(x));
    },
  ];
};

/**
 * Each element of dY goes in equal parts to all of its window: a sum, at each place of x, over the windows that hold it.
 *
 * Where the window is a whole number of steps long, neighbouring places share their windows, and the sum is one over neighbouring
 * elements of dY, repeated: 5 times as fast (2 x 2, 48 channels of 12 x 12, ONNX Runtime 1.30) as the other way, in which dY is
 * spread to where the windows begin, with zeros between, and summed over a window of stride 1.
 */
const averagePool: GradientRule = (context: GradientContext) => [
  () => {
    const x = context.input(0);
    const spatial: Shape = x.shape.slice(2);
    if (!isKnown(spatial)) return context.fail("the sizes of the image must be known while building");
    const window = windowOf(context, spatial, context.integers("kernel_shape") ?? []);
    if (window.some(({ dilation }) => dilation !== 1)) context.fail("dilations are not supported");
    for (const [at, axis] of window.entries()) {
      const overhang = context.output.shape[at + 2] !== placesOf(spatial[at] ?? 1, axis);
      if (overhang) context.fail("ceil_mode 1 is supported only where no window hangs over the end");
    }
    const inSteps = window.every(({ kernel, stride }) => kernel % stride === 0);
    const sum = inSteps ? repeated : spread;
    return context.graph.withShape(sum(context, shares(context, window), window, spatial), x.shape);
  },
];

/** dY divided so that AveragePool with padding counted gives its parts. */
function shares(context: GradientContext, window: Window): Value {
  const { graph, gradient } = context;
  const x = context.input(0);
  const padded = window.some(({ begin, end }) => begin > 0 || end > 0);
  if (!padded || context.integer("count_include_pad", 0) !== 0) return gradient;
  // The share of each window that lies inside the image.
  const ones = graph.constantOfShape([1, 1, ...x.shape.slice(2).map(Number)], 1, x.dtype);
  const inside = graph.operator("AveragePool", [ones], { ...context.node.attributes, count_include_pad: 1 });
  return graph.div(gradient, inside);
}

/** The sum where the window is a whole number of steps long. */
function repeated(context: GradientContext, dY: Value, window: Window, spatial: readonly number[]): Value {
  const { graph } = context;
  const steps = window.map(({ kernel, stride }) => kernel / stride);
  const strides = window.map(({ stride }) => stride);
  const borders = steps.map((count) => count - 1);
  // The average divides by the number of steps, which leaves the places of a step.
  const pads = [...borders, ...borders];
  const averages = steps.every((count) => count === 1)
    ? dY
    : graph.averagePool(dY, steps, { pads, countIncludePad: true });
  const places = strides.reduce((product, stride) => product * stride, 1);
  const wide = places === 1 ? averages : graph.upscale(graph.mul(averages, 1 / places), strides);
  const before = window.map(({ begin }) => -begin);
  const after = window.map((axis, at) => unreached(spatial[at] ?? 1, axis) - axis.end);
  return padded(context, wide, [...before, ...after], spatialAxes(context.input(0)));
}

/** The sum for any window. */
function spread(context: GradientContext, dY: Value, window: Window, spatial: readonly number[]): Value {
  const { graph } = context;
  const channels = Number(dY.shape[1]);
  const places = dY.shape.slice(2).map(Number);
  const gaps = window.map(({ stride }) => stride - 1);
  const cells = graph.reshape(dY, [0, channels, ...places.flatMap((count) => [count, 1])]);
  const widths = [...gaps.map(() => 0), ...gaps];
  const spaced = padded(
    context,
    cells,
    widths,
    window.map((_, at) => 3 + 2 * at),
  );
  const wide = graph.reshape(spaced, [0, channels, ...window.map(({ stride }, at) => stride * (places[at] ?? 0))]);
  const before = window.map(({ kernel, begin }) => kernel - 1 - begin);
  const after = window.map((axis, at) => unreached(spatial[at] ?? 1, axis) + axis.kernel - axis.end - axis.stride);
  const around = padded(context, wide, [...before, ...after], spatialAxes(context.input(0)));
  return graph.averagePool(
    around,
    window.map(({ kernel }) => kernel),
  );
}

/** Zeros around; where a width is negative, that much is cut off. */
function padded({ graph }: GradientContext, x: Value, widths: readonly number[], axes: readonly number[]): Value {
  if (widths.every((width) => width === 0)) return x;
  const inputs = [x, graph.constant(widths, "int64"), graph.constant(0, x.dtype), graph.constant(axes, "int64")];
  return graph.operator("Pad", inputs);
}

const spatialAxes = (x: Value) => x.shape.slice(2).map((_, at) => at + 2);

const globalAveragePool: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const x = context.input(0);
  return [
    () => {
      const sizes = graph.cast(context.dimensions(x, 2, x.shape.length), x.dtype);
      const count = graph.operator("ReduceProd", [sizes], { keepdims: 0 });
      return graph.expand(graph.div(gradient, count), context.shapeOf(x));
    },
  ];
};

/** Equal shares for a tie, as for ReduceMax. */
const globalMaxPool: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const x = context.input(0);
  return [
    () => {
      const largest = context.indicator(graph.equal(x, output), x.dtype);
      return graph.mul(largest, graph.div(gradient, graph.reduceSum(largest, spatialAxes(x), true)));
    },
  ];
};

export const pooling: Readonly<Record<string, GradientRule>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
};
