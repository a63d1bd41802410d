import { type Dimension, formatShape, sumOf } from "../shape.js";
import type { Value } from "../value.js";
import { extentOf, placesOf, type Window, windowOf } from "../window.js";
import type { Inference, OperatorContext } from "./operator-context.js";

interface Parts {
  /** (n, channels, ...spatial) */
  readonly x: Value;
  /** Filters; their spatial axes are the kernel. */
  readonly filters: Value;
  readonly group: number;
  readonly spatial: readonly Dimension[];
}

/** The inputs of a convolution, checked for what both directions ask. */
function partsOf(context: OperatorContext): Parts {
  const [x, filters, bias] = [context.input(0), context.input(1), context.inputs[2]];
  context.floating(x);
  context.sameType(bias === undefined ? [x, filters] : [x, filters, bias]);
  if (x.shape.length < 3 || filters.shape.length !== x.shape.length) {
    const got = `${formatShape(x.shape)} and ${formatShape(filters.shape)}`;
    context.fail(`images (n, channels, ...) and filters of the same rank are expected, got ${got}`);
  }
  if (bias !== undefined && bias.shape.length !== 1) {
    context.fail(`the bias "${bias.name}" must be a vector, got ${formatShape(bias.shape)}`);
  }
  const group = context.integer("group", 1);
  if (group < 1) context.fail(`group must be at least 1, got ${group}`);
  return { x, filters, group, spatial: x.shape.slice(2) };
}

/** The sizes of the kernel, or undefined where the filters are computed and theirs are not known while building. */
function kernelOf({ filters }: Parts): number[] | undefined {
  const kernel = filters.shape.slice(2);
  return kernel.every((size) => typeof size === "number") ? kernel : undefined;
}

function times(size: Dimension | undefined, group: number): Dimension | undefined {
  return typeof size === "number" ? size * group : group === 1 ? size : undefined;
}

function checkChannels(context: OperatorContext, { x, filters }: Parts, expected: Dimension | undefined): void {
  const found = x.shape[1];
  if (expected === undefined || found === expected || typeof found !== typeof expected) return;
  const shapes = `${formatShape(filters.shape)} in ${context.integer("group", 1)} groups`;
  context.fail(`filters ${shapes} take ${expected} channels, but "${x.name}" is ${formatShape(x.shape)}`);
}

const convolution: Inference = (context: OperatorContext) => {
  const parts = partsOf(context);
  const { x, filters, group, spatial } = parts;
  checkChannels(context, parts, times(filters.shape[1], group));
  const count = context.dimension(filters, 0);
  if (typeof count === "number" && count % group !== 0) {
    context.fail(`${count} filters do not divide into ${group} groups`);
  }
  const kernel = kernelOf(parts);
  const window = kernel && windowOf(context, spatial, kernel);
  const sizes = spatial.map((size, at) => {
    const axis = window?.[at];
    if (axis === undefined) return context.freshDimension();
    const image = `"${x.name}" of ${formatShape(x.shape)}`;
    return placesOf(size, axis) ?? context.fail(`a kernel of [${kernel}] is larger than ${image} with its padding`);
  });
  return [{ dtype: x.dtype, shape: [context.dimension(x, 0), count, ...sizes] }];
};

/** The sizes of which a convolution with this window would give these: (size - 1) stride + extent - padding. */
const transposed: Inference = (context: OperatorContext) => {
  const parts = partsOf(context);
  const { x, filters, group, spatial } = parts;
  checkChannels(context, parts, filters.shape[0]);
  const mode = context.attribute("auto_pad") ?? "NOTSET";
  if (mode !== "NOTSET" && mode !== "VALID") context.fail(`auto_pad ${mode} is not supported; export it with pads`);
  if (context.integers("output_shape") !== undefined) {
    context.fail("the attribute output_shape is not supported; export it with pads and output_padding");
  }
  const kernel = kernelOf(parts);
  const window: Window | undefined = kernel && windowOf(context, spatial, kernel);
  const extra = context.integers("output_padding");
  const sizes = spatial.map((size, at) => {
    const axis = window?.[at];
    if (axis === undefined) return context.freshDimension();
    const change = extentOf(axis) - axis.begin - axis.end + (extra?.[at] ?? 0);
    if (typeof size === "number") return (size - 1) * axis.stride + change;
    return axis.stride === 1 ? sumOf([size, change - 1]) : context.freshDimension();
  });
  const channels = times(filters.shape[1], group) ?? context.freshDimension();
  return [{ dtype: x.dtype, shape: [context.dimension(x, 0), channels, ...sizes] }];
};

/** Convolutions over any number of spatial axes. */
export const convolutions: Readonly<Record<string, Inference>> = { Conv: convolution, ConvTranspose: transposed };
