import type { Value } from "../value.js";
import { extentOf, unreached, type Window, windowOf } from "../window.js";
import { type GradientContext, type GradientRule, isKnown } from "./gradient-rule.js";

/**
 * With Y[n, o, p] = sum over c and k of X[n, c, p s + k d - b] W[o, c, k] (stride s, dilation d, padding b):
 * dX is the transposed convolution of dY with the same filters, dB the sum of dY, and
 * dW[o, c, k] = sum over n and p of dY[n, o, p] X[n, c, p s + k d - b], for which there are three ways.
 *
 * Time of dW beside that of the forward pass (ONNX Runtime 1.30, 2 cores of an AVX-512 CPU, batch 64, images 16 x 16 to 32 x 32):
 *
 * | filters | forward | a product for each k | a convolution with dY as filters |
 * |---|---|---|---|
 * | 64 to 64, 3 x 3 | 16 ms | 20 ms | 41 ms |
 * | 16 to 16, 3 x 3 | 2.0 ms | 2.9 ms | 8.4 ms |
 * | 64, 3 x 3, depthwise (batch 32) | 1.7 ms | 3.2 ms | 16 ms |
 * | 64, 7 x 7, depthwise (batch 32, 14 x 14) | 9.8 ms | 17 ms | 14 ms |
 * | 3 to 32, 5 x 5, stride 2 | 1.4 ms | 8.9 ms | 2.4 ms |
 *
 * So few channels take the convolution, patches that do not overlap are one matrix product, and all others a product for each k.
 * The transposed convolution for dX costs 1.0 to 1.4 forward passes. Each way adds up in one order in every run.
 */
const convolution: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, filters, bias] = [context.input(0), context.input(1), context.node.inputs[2]];
  const group = context.integer("group", 1);
  const window = () => {
    if (!isKnown(filters.shape)) return context.fail("the sizes of its filters must be known while building");
    return windowOf(context, x.shape.slice(2), filters.shape.slice(2));
  };
  return [
    () => imageGradient(context, window(), group),
    () => filterGradient(context, window(), group),
    bias === undefined ? undefined : () => graph.reduceSum(gradient, [0, ...x.shape.slice(2).map((_, at) => at + 2)]),
  ];
};

function filterGradient(context: GradientContext, window: Window, group: number): Value {
  const [x, filters] = [context.input(0), context.input(1)];
  if (group > 1) return productPerOffset(context, window, group);
  if (arePatches(window) && isKnown(x.shape.slice(1))) return patchFilters(context, window);
  if (Number(filters.shape[1]) <= FEW_CHANNELS) return swappedRoles(context, window);
  return productPerOffset(context, window, group);
}

/** Up to this many input channels the convolution with dY as filters is the fastest way to dW. */
const FEW_CHANNELS = 4;

const padsOf = (window: Window) => [...window.map(({ begin }) => begin), ...window.map(({ end }) => end)];
const spatialAxes = (window: Window) => window.map((_, at) => at + 2);
/** (a, b, ...) as (b, a, ...). */
const exchanged = ({ graph }: GradientContext, value: Value) =>
  graph.transpose(value, [1, 0, ...value.shape.slice(2).map((_, at) => at + 2)]);

/** Patches that lie side by side without gaps: each element of X belongs to one place at most. */
function arePatches(window: Window): boolean {
  return window.every(
    ({ kernel, stride, dilation, begin, end }) =>
      kernel > 1 && kernel === stride && dilation === 1 && begin === 0 && end === 0,
  );
}

/** dX: where a size is not known while building, one stride too much is computed and cut off. */
function imageGradient(context: GradientContext, window: Window, group: number): Value {
  const { graph, gradient } = context;
  const [x, filters] = [context.input(0), context.input(1)];
  const spatial = x.shape.slice(2);
  const full = graph.operator("ConvTranspose", [gradient, filters], {
    strides: window.map(({ stride }) => stride),
    dilations: window.map(({ dilation }) => dilation),
    pads: padsOf(window),
    group,
    output_padding: window.map((axis, at) => {
      const size = spatial[at];
      return typeof size === "number" ? unreached(size, axis) : axis.stride - 1;
    }),
  });
  if (isKnown(spatial)) return full;
  const sizes = context.dimensions(x, 2, x.shape.length);
  const starts = window.map(() => 0);
  return graph.withShape(graph.slice(full, starts, sizes, spatialAxes(window)), x.shape);
}

/** dW as one product of the rows of dY and the patches of X, both with a row for each place of each image. */
function patchFilters(context: GradientContext, window: Window): Value {
  const { graph, gradient } = context;
  const [x, filters] = [context.input(0), context.input(1)];
  const places = gradient.shape.slice(2).map(Number);
  const starts = window.map(() => 0);
  const ends = window.map(({ stride }, at) => stride * (places[at] ?? 0));
  const whole = graph.slice(x, starts, ends, spatialAxes(window));
  const cut = graph.reshape(whole, [
    0,
    Number(x.shape[1]),
    ...window.flatMap(({ kernel }, at) => [places[at] ?? 0, kernel]),
  ]);
  const placeAxes = window.map((_, at) => 2 + 2 * at);
  const patches = graph.transpose(cut, [0, ...placeAxes, 1, ...placeAxes.map((axis) => axis + 1)]);
  const columns = filters.shape.slice(1).reduce<number>((product, size) => product * Number(size), 1);
  const rows = graph.reshape(exchanged(context, gradient), [Number(filters.shape[0]), -1]);
  const product = graph.matMul(rows, sameRows(context, graph.reshape(patches, [-1, columns]), rows));
  return graph.reshape(product, filters.shape.map(Number));
}

/** Two ways of counting the places of all images give one number, which names need not show. */
function sameRows({ graph }: GradientContext, value: Value, like: Value): Value {
  return graph.withShape(value, value.shape.with(-2, like.shape.at(-1) ?? 1));
}

/** dW as a convolution of X with dY as its filters, where images and channels change places, as do stride and dilation. */
function swappedRoles(context: GradientContext, window: Window): Value {
  const { graph, gradient } = context;
  const [x, filters] = [context.input(0), context.input(1)];
  const result = graph.operator("Conv", [exchanged(context, x), exchanged(context, gradient)], {
    strides: window.map(({ dilation }) => dilation),
    dilations: window.map(({ stride }) => stride),
    pads: padsOf(window),
  });
  // What no place of the window reached lets dY slide on for a few steps more.
  const starts = window.map(() => 0);
  const kernel = graph.slice(result, starts, filters.shape.slice(2).map(Number), spatialAxes(window));
  return graph.withShape(exchanged(context, kernel), filters.shape);
}

/** dW[:, :, k] for each offset k of the kernel: the product of dY and what X has at that offset from each place. */
function productPerOffset(context: GradientContext, window: Window, group: number): Value {
  const { graph, gradient } = context;
  const [x, filters] = [context.input(0), context.input(1)];
  const [outputs = 1, inputs = 1] = filters.shape.map(Number);
  const padded = pad(context, exchanged(context, x), window);
  const rows = graph.reshape(exchanged(context, gradient), [group, outputs / group, -1]);
  const products = offsetsOf(window).map((offset) => {
    const seen = graph.reshape(atOffset(context, padded, window, offset), [group, inputs, -1]);
    const columns = sameRows(context, graph.transpose(seen, [0, 2, 1]), rows);
    return graph.unsqueeze(graph.matMul(rows, columns), [-1]);
  });
  return graph.reshape(graph.concat(products, -1), filters.shape.map(Number));
}

function pad({ graph }: GradientContext, x: Value, window: Window): Value {
  const pads = padsOf(window);
  if (pads.every((size) => size === 0)) return x;
  const axes = graph.constant(spatialAxes(window), "int64");
  return graph.operator("Pad", [x, graph.constant(pads, "int64"), graph.constant(0, x.dtype), axes]);
}

/** Every position in the kernel, the last axis fastest. */
function offsetsOf(window: Window): number[][] {
  return window.reduce<number[][]>(
    (offsets, { kernel }) => offsets.flatMap((offset) => [...Array(kernel).keys()].map((at) => [...offset, at])),
    [[]],
  );
}

/** The element under this offset of the kernel at every place of the window: a slice that also works for sizes not known. */
function atOffset({ graph }: GradientContext, padded: Value, window: Window, offset: readonly number[]): Value {
  if (window.every(({ kernel, stride }) => kernel === 1 && stride === 1)) return padded;
  const starts = window.map(({ dilation }, at) => dilation * (offset[at] ?? 0));
  const ends = window.map((axis, at) => {
    const left = extentOf(axis) - 1 - (starts[at] ?? 0);
    return left === 0 ? Number.MAX_SAFE_INTEGER : -left;
  });
  return graph.slice(
    padded,
    starts,
    ends,
    spatialAxes(window),
    window.map(({ stride }) => stride),
  );
}

export const convolutions: Readonly<Record<string, GradientRule>> = { Conv: convolution };
