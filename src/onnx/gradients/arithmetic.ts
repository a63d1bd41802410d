import type { GradientContext, GradientRule } from "./gradient-rule.js";

const add: GradientRule = (context: GradientContext) =>
  context.node.inputs.map((_, at) => () => context.passedTo(context.input(at)));

const sub: GradientRule = (context: GradientContext) => [
  () => context.passedTo(context.input(0)),
  () => context.graph.neg(context.passedTo(context.input(1))),
];

const mul: GradientRule = (context: GradientContext) => {
  const { graph, narrowGradient: gradient } = context;
  const [a, b] = [context.input(0), context.input(1)];
  return [() => context.sumTo(graph.mul(gradient, b), a), () => context.sumTo(graph.mul(gradient, a), b)];
};

const mean: GradientRule = (context: GradientContext) => {
  const { inputs } = context.node;
  return inputs.map((_, at) => () => context.graph.mul(context.passedTo(context.input(at)), 1 / inputs.length));
};

/** d(a/b) = da / b - (a/b) db / b. */
const div: GradientRule = (context: GradientContext) => {
  const { graph, narrowGradient: gradient, output } = context;
  const [a, b] = [context.input(0), context.input(1)];
  return [
    () => context.sumTo(graph.div(gradient, b), a),
    () => context.sumTo(graph.neg(graph.div(graph.mul(gradient, output), b)), b),
  ];
};

/**
 * d(a^b) = b a^(b-1) da + a^b log(a) db. Where a is not positive the second term counts as 0, as its limit at a = 0, b > 0 is;
 * a constant b of 0, 1 or 2 has rules of its own, which are exact at a = 0, and one between 0 and 1 has the slope 0 there, as Sqrt has.
 */
const pow: GradientRule = (context: GradientContext) => {
  const { graph, narrowGradient: gradient, output } = context;
  const [base, exponent] = [context.input(0), context.input(1)];
  const toBase = () => {
    const known = context.scalarOf(exponent);
    if (known === 0) return context.zerosLike(base);
    if (known === 1) return context.passedTo(base);
    if (known === 2) return context.sumTo(graph.mul(graph.mul(gradient, 2), base), base);
    const factor = exponent.dtype === base.dtype ? exponent : graph.cast(exponent, base.dtype);
    if (known !== undefined && known > 0 && known < 1) {
      const isZero = graph.equal(base, 0);
      const slope = graph.mul(factor, graph.pow(graph.where(isZero, 1, base), graph.sub(factor, 1)));
      return context.sumTo(graph.where(isZero, 0, graph.mul(gradient, slope)), base);
    }
    return context.sumTo(graph.mul(gradient, graph.mul(factor, graph.pow(base, graph.sub(factor, 1)))), base);
  };
  const toExponent = () => {
    const positive = graph.greater(base, 0);
    const logarithm = graph.log(graph.where(positive, base, 1));
    return context.sumTo(graph.mul(gradient, graph.mul(output, logarithm)), exponent);
  };
  return [toBase, exponent.dtype === base.dtype ? toExponent : undefined];
};

const reciprocal: GradientRule = (context: GradientContext) => {
  const { graph, narrowGradient, output } = context;
  return [() => graph.mul(graph.neg(narrowGradient), graph.mul(output, output))];
};

export const arithmetic: Readonly<Record<string, GradientRule>> = {
  Add: add,
  Sum: add,
  Mean: mean,
  Sub: sub,
  Mul: mul,
  Div: div,
  Pow: pow,
  Neg: (context: GradientContext) => [() => context.graph.neg(context.narrowGradient)],
  Reciprocal: reciprocal,
};
