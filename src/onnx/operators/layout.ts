import { broadcastShapes, type Dimension, formatShape, productOf, quotientOf, sumOf } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const transpose: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const rank = x.shape.length;
  const order = context.integers("perm") ?? x.shape.map((_, axis) => rank - 1 - axis);
  if (context.axes(order, rank).length !== rank) context.fail(`[${order.join(", ")}] is no order of ${rank} axes`);
  return [{ dtype: x.dtype, shape: order.map((axis) => context.dimension(x, context.axis(axis, rank))) }];
};

const reshape: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const target = context.input(1);
  context.ofType(target, "int64");
  const wanted = context.content(target);
  if (wanted === undefined) return [{ dtype: x.dtype, shape: unknownShape(context, target.shape[0]) }];
  const copyZero = context.integer("allowzero", 0) === 0;
  const shape = wanted.map((size, axis) => (size === 0 && copyZero ? context.dimension(x, axis) : size));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const rest = shape.filter((_, axis) => axis !== open);
    const known = quotientOf(x.shape, rest);
    if (known === undefined && typeof productOf(x.shape) === "number" && typeof productOf(rest) === "number") {
      context.fail(`${formatShape(x.shape)} cannot be laid out as ${formatShape(shape)}`);
    }
    shape[open] = known ?? context.freshDimension();
  }
  if (shape.some((size) => typeof size === "number" && size < 0)) context.fail(`${formatShape(shape)} is no shape`);
  const [before, after] = [productOf(x.shape), productOf(shape)];
  if (typeof before === "number" && typeof after === "number" && before !== after) {
    context.fail(`${formatShape(x.shape)} cannot be laid out as ${formatShape(shape)}`);
  }
  return [{ dtype: x.dtype, shape, content: shape.length === 1 ? context.content(x) : undefined }];
};

/** Fresh names for a shape whose tensor is known by its length only. */
function unknownShape(context: OperatorContext, rank: Dimension | undefined): Dimension[] {
  if (typeof rank !== "number") context.fail("the rank of the result must be known while building");
  return Array.from({ length: rank }, () => context.freshDimension());
}

const expand: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const target = context.input(1);
  const wanted = context.content(context.ofType(target, "int64")) ?? unknownShape(context, target.shape[0]);
  const shape = broadcastShapes(x.shape, wanted, context.loose);
  if (shape === undefined) context.fail(`${formatShape(x.shape)} does not expand to ${formatShape(wanted)}`);
  return [{ dtype: x.dtype, shape }];
};

function axesOf(context: OperatorContext): readonly number[] | undefined {
  const value = context.inputs[1];
  if (value === undefined) return context.integers("axes");
  return context.numbers(value) ?? context.fail("the axes must be known while building");
}

const unsqueeze: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const axes = axesOf(context) ?? context.fail("the axes are missing");
  const added = new Set(context.axes(axes, x.shape.length + axes.length));
  const rest = [...x.shape];
  const rank = x.shape.length + axes.length;
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? 1)));
  return [{ dtype: x.dtype, shape, content: rank <= 1 ? context.content(x) : undefined }];
};

const squeeze: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const given = axesOf(context);
  const axes = given === undefined ? undefined : new Set(context.axes(given, x.shape.length));
  for (const axis of axes ?? []) {
    const size = context.dimension(x, axis);
    if (typeof size === "number" && size !== 1) context.fail(`axis ${axis} has size ${size}, not 1`);
  }
  const shape = x.shape.filter((size, axis) => (axes === undefined ? size !== 1 : !axes.has(axis)));
  return [{ dtype: x.dtype, shape, content: context.content(x) }];
};

const concat: Inference = (context: OperatorContext) => {
  const parts = context.present();
  const dtype = context.sameType(parts);
  const first = context.input(0);
  const axis = context.axis(context.integer("axis", Number.NaN), first.shape.length);
  for (const part of parts) {
    const fits =
      part.shape.length === first.shape.length &&
      part.shape.every((size, at) => at === axis || context.fits(size, first.shape[at]));
    if (!fits)
      context.fail(`${formatShape(first.shape)} and ${formatShape(part.shape)} do not join along axis ${axis}`);
  }
  const contents = parts.map((part) => context.content(part));
  const known = first.shape.length === 1 && contents.every((content) => content !== undefined);
  const size = sumOf(parts.map((part) => context.dimension(part, axis)));
  return [{ dtype, shape: first.shape.with(axis, size), content: known ? contents.flat() : undefined }];
};

const split: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const axis = context.axis(context.integer("axis", 0), x.shape.length);
  const size = context.dimension(x, axis);
  const sizes = context.inputs[1] === undefined ? evenSizes(context, size) : context.numbers(context.inputs[1]);
  if (sizes === undefined) context.fail("the sizes of the parts must be known while building");
  if (typeof size === "number" && sizes.reduce((sum, part) => sum + part, 0) !== size) {
    context.fail(`parts of [${sizes.join(", ")}] do not add up to ${size}`);
  }
  const content = x.shape.length === 1 ? context.content(x) : undefined;
  let end = 0;
  return sizes.map((part) => {
    end += part;
    return { dtype: x.dtype, shape: x.shape.with(axis, part), content: content?.slice(end - part, end) };
  });
};

function evenSizes(context: OperatorContext, size: Dimension): number[] {
  const count = context.integer("num_outputs", 0);
  if (count < 1 || typeof size !== "number") context.fail("the sizes of the parts must be known while building");
  const chunk = Math.ceil(size / count);
  return Array.from({ length: count }, (_, part) => Math.min(chunk, size - part * chunk));
}

const tile: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const repeats = context.content(context.ofType(context.input(1), "int64"));
  const shape = x.shape.map((size, axis) => {
    const repeat = repeats?.[axis];
    return repeat === undefined ? context.freshDimension() : productOf([size, repeat]);
  });
  return [{ dtype: x.dtype, shape }];
};

const flatten: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const axis = context.integer("axis", 1);
  const at = axis < 0 ? axis + x.shape.length : axis;
  return [{ dtype: x.dtype, shape: [productOf(x.shape.slice(0, at)), productOf(x.shape.slice(at))] }];
};

const pad: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const rank = x.shape.length;
  const given = context.inputs[3] === undefined ? x.shape.map((_, axis) => axis) : context.numbers(context.inputs[3]);
  const pads = context.content(context.ofType(context.input(1), "int64"));
  const shape = x.shape.map((size, axis) => {
    if (given === undefined || pads === undefined) return context.freshDimension();
    const at = given.map((each) => context.axis(each, rank)).indexOf(axis);
    return at < 0 ? size : sumOf([size, pads[at] ?? 0, pads[at + given.length] ?? 0]);
  });
  return [{ dtype: x.dtype, shape }];
};

/** Operators that rearrange, join, cut up or repeat elements without computing with them. */
export const layout: Readonly<Record<string, Inference>> = {
  Transpose: transpose,
  Reshape: reshape,
  Expand: expand,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Concat: concat,
  Split: split,
  Tile: tile,
  Flatten: flatten,
  Pad: pad,
  Trilu: (context) => [{ dtype: context.input(0).dtype, shape: context.input(0).shape }],
};
