import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** A rule that passes the gradient on by one factor above 0 and by another at and below it. */
function twoSided(below: (context: GradientContext, x: Value, y: Value) => Value | number): GradientRule {
  return (context: GradientContext) => {
    const { graph, gradient, output } = context;
    const x = context.input(0);
    return [() => graph.where(graph.greater(x, 0), gradient, graph.mul(gradient, below(context, x, output)))];
  };
}

/** y = max(0, min(1, alpha x + beta)): the gradient passes inside the bounds only. */
const hardSigmoid: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const inside = graph.and(graph.greater(output, 0), graph.less(output, 1));
  return [() => graph.where(inside, graph.mul(gradient, context.number("alpha", 0.2)), 0)];
};

/** y = x max(0, min(1, x/6 + 1/2)), so dy/dx is 0 up to -3, 1 from 3 on, and x/3 + 1/2 between. */
const hardSwish: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const x = context.input(0);
  const slope = () => graph.add(graph.mul(x, 1 / 3), 0.5);
  const rising = () => graph.where(graph.less(x, 3), slope(), 1);
  return [() => graph.mul(gradient, graph.where(graph.greater(x, -3), rising(), 0))];
};

const prelu: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, slope] = [context.input(0), context.input(1)];
  return [
    () => graph.where(graph.greater(x, 0), gradient, graph.mul(gradient, slope)),
    () => context.sumTo(graph.mul(gradient, graph.min(x, 0)), slope),
  ];
};

/** y = scale x above 0, else scale alpha (exp(x) - 1) (Klambauer et al. 2017). */
const selu: GradientRule = (context: GradientContext) => {
  const { graph, gradient, output } = context;
  const alpha = context.number("alpha", 1.6732632423543772);
  const scale = context.number("gamma", 1.0507009873554805);
  const below = () => graph.add(output, alpha * scale);
  return [() => graph.mul(gradient, graph.where(graph.greater(context.input(0), 0), scale, below()))];
};

/** y = x tanh(softplus(x)) (Misra 2019). */
const mish: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const x = context.input(0);
  return [
    () => {
      const bend = graph.tanh(graph.softplus(x));
      const turning = graph.mul(graph.mul(x, graph.sigmoid(x)), graph.sub(1, graph.mul(bend, bend)));
      return graph.mul(gradient, graph.add(bend, turning));
    },
  ];
};

/** Activation functions of convolutional nets. At a kink the slope is that of the left side. */
export const activations: Readonly<Record<string, GradientRule>> = {
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  LeakyRelu: twoSided((context) => context.number("alpha", 0.01)),
  // d alpha (exp(x) - 1) = alpha exp(x) = y + alpha.
  Elu: twoSided((context, _, y) => context.graph.add(y, context.number("alpha", 1))),
  // d alpha (exp(x / alpha) - 1) = exp(x / alpha).
  Celu: twoSided((context, x) => context.graph.exp(context.graph.div(x, context.number("alpha", 1)))),
  Selu: selu,
  PRelu: prelu,
  Mish: mish,
  ThresholdedRelu: (context: GradientContext) => {
    const { graph, gradient } = context;
    return [() => graph.where(graph.greater(context.input(0), context.number("alpha", 1)), gradient, 0)];
  },
};
