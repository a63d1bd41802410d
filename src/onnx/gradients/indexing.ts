import type { Value } from "../value.js";
import { adding, type GradientContext, type GradientRule, isKnown } from "./gradient-rule.js";

/**
 * Adds slices of the gradient into zeros at positions along an axis. ScatterElements adds one element after the other on a CPU, so
 * that positions named twice give the same bits in every run; ScatterND adds them in parallel.
 */
function scatterAdd(context: GradientContext, zeros: Value, positions: Value, gradient: Value, axis: number): Value {
  const { graph } = context;
  const others = gradient.shape.flatMap((_, each) => (each === axis ? [] : [each]));
  const counted = graph.withShape(positions, gradient.shape.slice(axis, axis + 1));
  const indices = graph.expand(graph.unsqueeze(counted, others), context.shapeOf(gradient));
  return graph.scatterElements(zeros, indices, gradient, { axis, reduction: "add" });
}

/** Tables of at most this many rows get their gradient by a matrix product, which is then faster than adding row after row. */
const SMALL_TABLE = 64;

const gather: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, indices] = [context.input(0), context.input(1)];
  const axis = context.axis(0, x.shape.length);
  const [rows, ...row] = x.shape;
  const first = startOfRun(context, indices);
  if (first !== undefined) return [() => padded(context, [axis], [first]), undefined];
  const positionsOf = () => graph.reshape(indices.dtype === "int64" ? indices : graph.cast(indices, "int64"), [-1]);
  if (axis === 0 && typeof rows === "number" && isKnown(row)) {
    return [adding((sum) => tableGradient(context, positionsOf(), rows, row, sum)), undefined];
  }
  return [
    () => {
      const positions = positionsOf();
      const rest = context.dimensions(x, axis + 1, x.shape.length);
      const target = graph.concat([context.dimensions(x, 0, axis), context.shapeOf(positions), rest], 0);
      return scatterAdd(context, context.zerosLike(x), positions, graph.reshape(gradient, target), axis);
    },
    undefined,
  ];
};

/**
 * The gradient of a table whose rows were picked. Laid out flat, the positions of single elements scatter almost twice as fast as
 * rows do; a position counted from the end stays one, for it is multiplied as a whole.
 */
function tableGradient(
  context: GradientContext,
  positions: Value,
  rows: number,
  row: readonly number[],
  sum?: Value,
): Value {
  const { graph, gradient } = context;
  const width = row.reduce((product, size) => product * size, 1);
  if (rows <= SMALL_TABLE) {
    const picked = graph.cast(graph.oneHot(positions, rows), gradient.dtype);
    const before = sum === undefined ? undefined : graph.reshape(sum, [rows, width]);
    return graph.reshape(graph.gemm(picked, graph.reshape(gradient, [-1, width]), before, { transA: true }), [
      rows,
      ...row,
    ]);
  }
  const elements = graph.add(graph.mul(graph.unsqueeze(positions, [1]), width), graph.range(0, width));
  const before =
    sum === undefined ? graph.constantOfShape([rows * width], 0, gradient.dtype) : graph.reshape(sum, [-1]);
  const flat = graph.reshape(gradient, [-1]);
  // Both count the picked elements, though they were computed in different ways.
  const named = graph.withShape(graph.reshape(elements, [-1]), flat.shape);
  return graph.reshape(graph.scatterElements(before, named, flat, { reduction: "add" }), [rows, ...row]);
}

/** Where neighbouring positions, known while building, begin: what they pick is a slice. */
function startOfRun({ graph }: GradientContext, indices: Value): number | undefined {
  const positions = indices.shape.length === 1 ? Array.from(graph.dataOf(indices)?.data ?? [], Number) : [];
  const [first = -1] = positions;
  return first >= 0 && positions.every((position, i) => position === first + i) ? first : undefined;
}

const gatherElements: GradientRule = (context: GradientContext) => {
  const [x, indices] = [context.input(0), context.input(1)];
  const axis = context.axis(0, x.shape.length);
  return [
    () => context.graph.scatterElements(context.zerosLike(x), indices, context.gradient, { axis, reduction: "add" }),
    undefined,
  ];
};

/**
 * Rows picked by several indices at once are rows of the flattened table, picked by one: ScatterND adds in parallel, in no fixed
 * order.
 */
const gatherND: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, indices] = [context.input(0), context.input(1)];
  const depth = Number(indices.shape.at(-1));
  return [
    () => {
      if (context.integer("batch_dims", 0) !== 0) context.fail("batch_dims are not supported");
      const rest = context.dimensions(x, depth, x.shape.length);
      const sizes = context.dimensions(x, 0, depth);
      // Strides of the picked axes: the product of the sizes that follow.
      const following = graph.concat([graph.slice(sizes, [1], [depth]), graph.constant([1], "int64")], 0);
      const products = Array.from({ length: depth }, (_, at) =>
        graph.operator("ReduceProd", [graph.slice(following, [at], [depth])], { keepdims: 1 }),
      );
      const positive = graph.operator("Mod", [indices, sizes]);
      const rows = graph.reduceSum(graph.mul(positive, graph.concat(products, 0)), [-1]);
      const flat = graph.concat([graph.constant([-1], "int64"), rest], 0);
      const zeros = graph.reshape(context.zerosLike(x), flat);
      const positions = graph.reshape(rows, [-1]);
      const added = scatterAdd(context, zeros, positions, graph.reshape(gradient, flat), 0);
      return graph.reshape(added, context.shapeOf(x));
    },
    undefined,
  ];
};

/** What was written over has no gradient; what was written has that of its place. */
function scatter(opType: "ScatterElements" | "ScatterND", gather: "GatherElements" | "GatherND"): GradientRule {
  return (context: GradientContext) => {
    const { graph, gradient, node } = context;
    const [indices, updates] = [context.input(1), context.input(2)];
    const reduction = context.attribute("reduction") ?? "none";
    if (reduction !== "none" && reduction !== "add")
      context.fail(`the reduction ${String(reduction)} is not supported`);
    const axis = opType === "ScatterElements" ? { axis: context.integer("axis", 0) } : {};
    const overwritten = () => graph.operator(opType, [gradient, indices, context.zerosLike(updates)], node.attributes);
    return [
      reduction === "add" ? () => gradient : overwritten,
      undefined,
      () => graph.operator(gather, [gradient, indices], axis),
    ];
  };
}

const topK: GradientRule = (context: GradientContext) => {
  const x = context.input(0);
  const axis = context.axis(-1, x.shape.length);
  const positions = context.node.outputs[1] ?? context.fail("its positions are missing");
  return [
    () => context.graph.scatterElements(context.zerosLike(x), positions, context.gradient, { axis, reduction: "add" }),
    undefined,
  ];
};

const slice: GradientRule = (context: GradientContext) => {
  const { graph, node } = context;
  const rank = context.input(0).shape.length;
  const [starts, ends, axes, steps] = [context.input(1), context.input(2), node.inputs[3], node.inputs[4]];
  const named = axes === undefined ? [...Array(Number(starts.shape[0])).keys()] : graph.contentOf(axes)?.map(Number);
  if (named === undefined) context.fail("the axes must be known while building");
  const positive = named.map((axis) => (axis < 0 ? axis + rank : axis));
  const from = graph.contentOf(starts);
  const forward = steps === undefined || graph.contentOf(steps)?.every((step) => step === 1) === true;
  if (forward && from?.every((start) => typeof start === "number" && start >= 0) === true) {
    return [() => padded(context, positive, from.map(Number))];
  }
  return [() => scattered(context, positive, { starts, ends, steps })];
};

/** Zeros around the gradient of a slice of neighbouring elements. */
function padded(context: GradientContext, axes: readonly number[], starts: readonly number[]): Value {
  const { graph, gradient } = context;
  const x = context.input(0);
  const before = graph.constant(starts, "int64");
  const sizes = (value: Value) =>
    graph.concat(
      axes.map((axis) => context.dimensions(value, axis, axis + 1)),
      0,
    );
  const after = graph.sub(graph.sub(sizes(x), sizes(gradient)), before);
  const inputs = [
    gradient,
    graph.concat([before, after], 0),
    graph.constant(0, x.dtype),
    graph.constant(axes, "int64"),
  ];
  return graph.withShape(graph.operator("Pad", inputs), x.shape);
}

/** Any other slice: its own bounds, applied to 0, 1, 2, ... along each axis, say where its elements came from. */
function scattered(
  context: GradientContext,
  axes: readonly number[],
  bounds: { starts: Value; ends: Value; steps: Value | undefined },
): Value {
  const { graph } = context;
  const x = context.input(0);
  const bound = (value: Value, at: number) => graph.slice(value, [at], [at + 1]);
  let gradient = context.gradient;
  for (const [at, axis] of axes.entries()) {
    const all = graph.range(0, graph.squeeze(context.dimensions(x, axis, axis + 1), [0]));
    const step = bounds.steps === undefined ? graph.constant([1], "int64") : bound(bounds.steps, at);
    const first = graph.constant([0], "int64");
    const positions = graph.operator("Slice", [all, bound(bounds.starts, at), bound(bounds.ends, at), first, step]);
    // Axes still to come keep the size of the slice.
    const sliced = gradient;
    const dimensions = sliced.shape.map((_, each) => context.dimensions(each === axis ? x : sliced, each, each + 1));
    const zeros = graph.constantOfShape(graph.concat(dimensions, 0), 0, x.dtype);
    gradient = scatterAdd(context, zeros, positions, sliced, axis);
  }
  return gradient;
}

/** Operators that select elements by position. */
export const indexing: Readonly<Record<string, GradientRule>> = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter("ScatterElements", "GatherElements"),
  ScatterND: scatter("ScatterND", "GatherND"),
  TopK: topK,
  Slice: slice,
};
