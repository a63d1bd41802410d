import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

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

const gather: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, indices] = [context.input(0), context.input(1)];
  const axis = context.axis(0, x.shape.length);
  return [
    () => {
      const flat = graph.constant([-1], "int64");
      const positions = graph.reshape(indices, flat);
      const rest = context.dimensions(x, axis + 1, x.shape.length);
      const target = graph.concat([context.dimensions(x, 0, axis), context.shapeOf(positions), rest], 0);
      return scatterAdd(context, context.zerosLike(x), positions, graph.reshape(gradient, target), axis);
    },
    undefined,
  ];
};

const gatherElements: GradientRule = (context: GradientContext) => {
  const [x, indices] = [context.input(0), context.input(1)];
  const axis = context.axis(0, x.shape.length);
  return [
    () => context.graph.scatterElements(context.zerosLike(x), indices, context.gradient, { axis, reduction: "add" }),
    undefined,
  ];
};

const topK: GradientRule = (context: GradientContext) => {
  const x = context.input(0);
  const axis = context.axis(-1, x.shape.length);
  const positions = context.node.outputs[1] ?? context.fail("its positions are missing");
  return [
    () => context.graph.scatterElements(context.zerosLike(x), positions, context.gradient, { axis, reduction: "add" }),
    undefined,
  ];
};

/** The slice's own bounds, applied to 0, 1, 2, ... along each axis, say where its elements came from. */
const slice: GradientRule = (context: GradientContext) => {
  const { graph, node } = context;
  const x = context.input(0);
  const [starts, ends, axesInput, steps] = [context.input(1), context.input(2), node.inputs[3], node.inputs[4]];
  const count = Number(starts.shape[0]);
  const axes =
    axesInput === undefined
      ? Array.from({ length: count }, (_, axis) => axis)
      : graph.contentOf(axesInput)?.map(Number);
  if (axes === undefined) context.fail("the axes must be known while building");
  const bound = (value: Value, at: number) => graph.slice(value, [at], [at + 1]);
  const toX = () => {
    let gradient = context.gradient;
    for (const [at, axis] of axes.entries()) {
      const along = axis < 0 ? axis + x.shape.length : axis;
      const all = graph.range(0, graph.squeeze(context.dimensions(x, along, along + 1), [0]));
      const step = steps === undefined ? graph.constant([1], "int64") : bound(steps, at);
      const inputs = [all, bound(starts, at), bound(ends, at), graph.constant([0], "int64"), step];
      // Axes still to come keep the size of the slice.
      const sliced = gradient;
      const dimensions = gradient.shape.map((_, each) =>
        context.dimensions(each === along ? x : sliced, each, each + 1),
      );
      const zeros = graph.constantOfShape(graph.concat(dimensions, 0), 0, x.dtype);
      gradient = scatterAdd(context, zeros, graph.operator("Slice", inputs), gradient, along);
    }
    return gradient;
  };
  return [toX];
};

/** Operators that select elements by position. */
export const indexing: Readonly<Record<string, GradientRule>> = {
  Gather: gather,
  GatherElements: gatherElements,
  TopK: topK,
  Slice: slice,
};
