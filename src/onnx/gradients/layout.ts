import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** The elements stay in order: the gradient takes the input's shape again. */
const relabelled: GradientRule = (context: GradientContext) => [
  () => context.graph.reshape(context.gradient, context.shapeOf(context.input(0))),
];

const transpose: GradientRule = (context: GradientContext) => {
  const rank = context.input(0).shape.length;
  const order = context.integers("perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const positive = order.map((axis) => (axis < 0 ? axis + rank : axis));
  const inverse = positive.map((_, axis) => positive.indexOf(axis));
  return [() => context.graph.transpose(context.gradient, inverse)];
};

const concat: GradientRule = (context: GradientContext) => {
  const { graph, gradient, node } = context;
  const axis = context.axis(0, context.output.shape.length);
  const parts = node.inputs.map((_, at) => context.input(at));
  const cut = () => {
    const sizes = graph.concat(
      parts.map((part) => context.dimensions(part, axis, axis + 1)),
      0,
    );
    return graph.node("Split", [gradient, sizes], { axis }, parts);
  };
  let slices: ReturnType<typeof cut> | undefined;
  return parts.map((_, at) => () => {
    slices ??= cut();
    return slices[at] ?? context.fail(`part ${at} is missing`);
  });
};

const split: GradientRule = (context: GradientContext) => {
  const { graph, node } = context;
  const axis = context.axis(0, context.input(0).shape.length);
  const parts = () => node.outputs.map((output, at) => context.gradientOf(at) ?? context.zerosLike(output));
  return [() => graph.concat(parts(), axis), undefined];
};

const trilu: GradientRule = (context: GradientContext) => {
  const { graph, gradient, node } = context;
  return [() => graph.operator("Trilu", [gradient, ...node.inputs.slice(1)], node.attributes), undefined];
};

/** What was put around is cut off again: padding by the opposite of its widths. */
const pad: GradientRule = (context: GradientContext) => {
  const { graph, gradient, node } = context;
  return [
    () => {
      const mode = context.attribute("mode") ?? "constant";
      if (mode !== "constant") context.fail(`the mode ${String(mode)} is not supported`);
      const axes = node.inputs[3];
      const zero = graph.constant(0, gradient.dtype);
      const inputs = [gradient, graph.neg(context.input(1)), zero, ...(axes === undefined ? [] : [axes])];
      return graph.withShape(graph.operator("Pad", inputs), context.input(0).shape);
    },
  ];
};

/** An axis of n that is repeated r times is laid out as r by n, and summed up over r. */
const tile: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, repeats] = [context.input(0), context.input(1)];
  return [
    () => {
      const sizes = x.shape.flatMap((_, axis) => [
        graph.slice(repeats, [axis], [axis + 1]),
        context.dimensions(x, axis, axis + 1),
      ]);
      if (sizes.length === 0) return gradient;
      const apart = graph.reshape(gradient, graph.concat(sizes, 0));
      return graph.reduceSum(
        apart,
        x.shape.map((_, axis) => 2 * axis),
      );
    },
    undefined,
  ];
};

/** Operators that rearrange, join, cut up or repeat elements. */
export const layout: Readonly<Record<string, GradientRule>> = {
  Reshape: relabelled,
  Flatten: relabelled,
  Squeeze: relabelled,
  Unsqueeze: relabelled,
  Expand: (context: GradientContext) => [() => context.sumTo(context.gradient, context.input(0)), undefined],
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Trilu: trilu,
  Pad: pad,
  Tile: tile,
};
