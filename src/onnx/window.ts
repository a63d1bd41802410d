import { type Dimension, sumOf } from "./shape.js";
import type { AttributeValue } from "./value.js";

/** What a convolution or a pool reads of its node, while types are inferred and while gradients are made. */
export interface WindowSource {
  integers(name: string): readonly number[] | undefined;
  attribute(name: string): AttributeValue | undefined;
  /** @throws invalid_model always, naming the node */
  fail(reason: string): never;
}

/** How a window slides along one spatial axis. */
export interface WindowAxis {
  /** Elements of the kernel. */
  readonly kernel: number;
  readonly stride: number;
  /** Distance between neighbouring elements of the kernel. */
  readonly dilation: number;
  /** Padding before the first element and after the last one. */
  readonly begin: number;
  readonly end: number;
}

export type Window = readonly WindowAxis[];

/** Elements from the first to the last that the kernel touches, both included. */
export function extentOf({ kernel, dilation }: WindowAxis): number {
  return dilation * (kernel - 1) + 1;
}

/**
 * Reads the window of a node from `strides`, `dilations`, `pads` and `auto_pad`.
 * @param spatial the sizes of the input's spatial axes, which SAME padding depends on
 * @throws invalid_model when the attributes do not fit the kernel, or SAME padding depends on a size that is not known
 */
export function windowOf(source: WindowSource, spatial: readonly Dimension[], kernel: readonly number[]): Window {
  const rank = kernel.length;
  const list = (name: string, fallback: number, length = rank): readonly number[] => {
    const given = source.integers(name) ?? new Array<number>(length).fill(fallback);
    if (given.length !== length) source.fail(`${name} should have ${length} numbers, got [${given.join(", ")}]`);
    return given;
  };
  const [strides, dilations] = [list("strides", 1), list("dilations", 1)];
  for (const [name, numbers] of Object.entries({ kernel, strides, dilations })) {
    if (numbers.some((number) => number < 1)) source.fail(`${name} must be at least 1, got [${numbers.join(", ")}]`);
  }
  const pads = list("pads", 0, 2 * rank);
  const mode = source.attribute("auto_pad") ?? "NOTSET";
  return kernel.map((size, at) => {
    const [stride = 1, dilation = 1] = [strides[at], dilations[at]];
    const axis = { kernel: size, stride, dilation, begin: pads[at] ?? 0, end: pads[at + rank] ?? 0 };
    if (mode === "NOTSET" || mode === "") return axis;
    if (mode === "VALID") return { ...axis, begin: 0, end: 0 };
    if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") source.fail(`auto_pad is ${mode}, which does not exist`);
    const total = samePadding(source, spatial[at], axis);
    const smaller = Math.floor(total / 2);
    const begin = mode === "SAME_UPPER" ? smaller : total - smaller;
    return { ...axis, begin, end: total - begin };
  });
}

/** The padding that makes the output ceil(size / stride) long. */
function samePadding(source: WindowSource, size: Dimension | undefined, axis: WindowAxis): number {
  // A stride of 1 keeps every size.
  if (axis.stride === 1) return extentOf(axis) - 1;
  if (typeof size !== "number") source.fail("auto_pad with strides needs known sizes; export the model with pads");
  return Math.max(0, (Math.ceil(size / axis.stride) - 1) * axis.stride + extentOf(axis) - size);
}

/**
 * How many places the window takes along an axis. Sizes that are known only when the graph runs get a name made of the formula, so
 * that two branches that shrink alike are seen to fit each other.
 * @returns undefined where the window is larger than the padded axis
 */
export function placesOf(size: Dimension, axis: WindowAxis): Dimension | undefined {
  const change = axis.begin + axis.end - extentOf(axis);
  if (typeof size === "number") return size + change < 0 ? undefined : Math.floor((size + change) / axis.stride) + 1;
  if (axis.stride === 1) return sumOf([size, change + 1]);
  return `floor((${sumOf([size, change])})/${axis.stride})+1`;
}

/** Elements at the end of the padded axis that no place of the window reaches. */
export function unreached(size: number, axis: WindowAxis): number {
  return (size + axis.begin + axis.end - extentOf(axis)) % axis.stride;
}
