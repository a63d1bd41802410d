import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** A rule of the form gradient * f'(x), with y = f(x). */
function derivative(slope: (context: GradientContext, x: Value, y: Value) => Value): GradientRule {
  return (context: GradientContext) => [
    () => context.graph.mul(context.gradient, slope(context, context.input(0), context.output)),
  ];
}

/**
 * The derivative of sqrt is 0.5 / y, infinite at 0. There it is defined as 0, a choice as good as any for a distance whose points
 * coincide: the direction to move in does not exist. So sqrt(sum of squares) trains without NaN and needs no epsilon.
 */
const sqrt: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  // The division must not see the 0 either: where() discards infinity, but 0/0 would already be NaN on some providers.
  const positive = graph.greater(output, 0);
  const slope = graph.div(0.5, graph.where(positive, output, 1));
  return [() => graph.where(positive, graph.mul(gradient, slope), 0)];
};

/** Element by element functions of one tensor. */
export const elementary: Readonly<Record<string, GradientRule>> = {
  Exp: derivative((_, __, y) => y),
  Log: (context: GradientContext) => [() => context.graph.div(context.gradient, context.input(0))],
  Sqrt: sqrt,
  // d erf(x) = 2 / sqrt(pi) * exp(-x^2).
  Erf: derivative(({ graph }, x) => graph.mul(graph.exp(graph.neg(graph.mul(x, x))), 2 / Math.sqrt(Math.PI))),
  Sin: derivative(({ graph }, x) => graph.cos(x)),
  Cos: derivative(({ graph }, x) => graph.neg(graph.sin(x))),
  // The slope at 0 is taken as 0.
  Abs: derivative(({ graph }, x) => graph.sign(x)),
  Sigmoid: derivative(({ graph }, _, y) => graph.mul(y, graph.sub(1, y))),
  Tanh: derivative(({ graph }, _, y) => graph.sub(1, graph.mul(y, y))),
  Softplus: derivative(({ graph }, x) => graph.sigmoid(x)),
  // 0 at 0, so that a hinge that is exactly satisfied does not pull.
  Relu: (context: GradientContext) => {
    const { graph, gradient, output } = context;
    return [() => graph.where(graph.greater(output, 0), gradient, 0)];
  },
};
