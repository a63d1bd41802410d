import type { GradientContext, GradientRule } from "./gradient-rule.js";

const where: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const condition = context.input(0);
  return [
    undefined,
    () => context.sumTo(graph.where(condition, gradient, 0), context.input(1)),
    () => context.sumTo(graph.where(condition, 0, gradient), context.input(2)),
  ];
};

/** The gradient goes to the operand that was chosen, and in equal parts to all of them at a tie. */
const extreme: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const chosen = (at: number) => context.indicator(graph.equal(context.input(at), output), output.dtype);
  const ties = () => graph.sum(context.node.inputs.map((_, at) => chosen(at)));
  return context.node.inputs.map(
    (_, at) => () => context.sumTo(graph.mul(gradient, graph.div(chosen(at), ties())), context.input(at)),
  );
};

/** Inside the bounds, and on them, the gradient passes. */
const clip: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  return [() => graph.where(graph.equal(context.input(0), output), gradient, 0)];
};

const cast: GradientRule = (context: GradientContext) => [
  () => context.graph.cast(context.gradient, context.input(0).dtype),
];

/** Operators that choose between tensors, or pass them on. */
export const choice: Readonly<Record<string, GradientRule>> = {
  Where: where,
  Max: extreme,
  Min: extreme,
  Clip: clip,
  Cast: cast,
  CastLike: cast,
  Identity: (context: GradientContext) => [() => context.gradient],
};
