import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** A rule of the form gradient * f'(x), with y = f(x). */
function derivative(slope: (context: GradientContext, x: Value, y: Value) => Value): GradientRule {
  return (context: GradientContext) => [
    () => context.graph.mul(context.narrowGradient, slope(context, context.input(0), context.output)),
  ];
}

/**
 * d(x P(x)) = P(x) + x p(x), with P the distribution function and p the density of the standard normal distribution, or by tanh:
 * y = x (1 + t) / 2, t = tanh(s (x + c x^3)), s = sqrt(2 / pi), c = 0.044715 (Hendrycks, Gimpel 2016).
 */
const gelu = derivative((context, x) => {
  const { graph } = context;
  if (context.attribute("approximate") === "tanh") {
    const [s, c] = [Math.sqrt(2 / Math.PI), 0.044715];
    const square = graph.mul(x, x);
    const t = graph.tanh(graph.mul(graph.mul(x, graph.add(graph.mul(square, c), 1)), s));
    const inner = graph.mul(graph.add(graph.mul(square, 3 * c), 1), s / 2);
    const slope = graph.mul(graph.mul(x, inner), graph.sub(1, graph.mul(t, t)));
    return graph.add(graph.add(graph.mul(t, 0.5), 0.5), slope);
  }
  const below = graph.add(graph.mul(graph.erf(graph.mul(x, Math.SQRT1_2)), 0.5), 0.5);
  const density = graph.mul(graph.exp(graph.mul(graph.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return graph.add(below, graph.mul(x, density));
});

/**
 * The derivative of sqrt is 0.5 / y, infinite at 0. There it is defined as 0, a choice as good as any for a distance whose points
 * coincide: the direction to move in does not exist. So sqrt(sum of squares) trains without NaN and needs no epsilon.
 */
const sqrt: GradientRule = (context: GradientContext) => {
  const { graph, narrowGradient: gradient, output } = context;
  // The division must not see the 0 either: where() discards infinity, but 0/0 would already be NaN on some providers.
  return [
    () => {
      const positive = graph.greater(output, 0);
      const slope = graph.div(0.5, graph.where(positive, output, 1));
      return graph.where(positive, graph.mul(gradient, slope), 0);
    },
  ];
};

/** Element by element functions of one tensor. */
export const elementary: Readonly<Record<string, GradientRule>> = {
  Exp: derivative((_, __, y) => y),
  Log: (context: GradientContext) => [() => context.graph.div(context.narrowGradient, context.input(0))],
  Sqrt: sqrt,
  // d erf(x) = 2 / sqrt(pi) * exp(-x^2).
  Erf: derivative(({ graph }, x) => graph.mul(graph.exp(graph.neg(graph.mul(x, x))), 2 / Math.sqrt(Math.PI))),
  Gelu: gelu,
  Sin: derivative(({ graph }, x) => graph.cos(x)),
  Cos: derivative(({ graph }, x) => graph.neg(graph.sin(x))),
  // The slope at 0 is taken as 0.
  Abs: derivative(({ graph }, x) => graph.sign(x)),
  Sigmoid: derivative(({ graph }, _, y) => graph.mul(y, graph.sub(1, y))),
  Tanh: derivative(({ graph }, _, y) => graph.sub(1, graph.mul(y, y))),
  Softplus: derivative(({ graph }, x) => graph.sigmoid(x)),
  // 0 at 0, so that a hinge that is exactly satisfied does not pull.
  Relu: (context: GradientContext) => {
    const { graph, narrowGradient, output } = context;
    // The sign of y, which is not below 0, is 1 where x > 0: a walk less than by comparing.
    return [() => graph.mul(narrowGradient, graph.sign(output))];
  },
};
