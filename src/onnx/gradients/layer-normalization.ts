import type { GradientContext, GradientRule } from "./gradient-rule.js";

/**
 * With n = (x - mean) / deviation and y = n * scale + bias: d(scale) = sum(dy * n), d(bias) = sum(dy), and with h = dy * scale
 * dx = (h - mean(h) - n * mean(h * n)) / deviation. The statistics are computed again rather than kept, since the operator gives
 * them in float32 whatever the type of x.
 */
const layerNormalizationRule: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, scale, bias] = [context.input(0), context.input(1), context.node.inputs[2]];
  const from = context.axis(-1, x.shape.length);
  const axes = x.shape.flatMap((_, axis) => (axis >= from ? [axis] : []));
  const centred = graph.sub(x, graph.reduceMean(x, axes, true));
  const variance = graph.reduceMean(graph.mul(centred, centred), axes, true);
  const deviation = graph.sqrt(graph.add(variance, context.number("epsilon", 1e-5)));
  const normalised = graph.div(centred, deviation);
  const toX = () => {
    const scaled = graph.mul(gradient, scale);
    const along = graph.reduceMean(graph.mul(scaled, normalised), axes, true);
    const free = graph.sub(graph.sub(scaled, graph.reduceMean(scaled, axes, true)), graph.mul(normalised, along));
    return graph.div(free, deviation);
  };
  return [
    toX,
    () => context.sumTo(graph.mul(gradient, normalised), scale),
    bias === undefined ? undefined : () => context.sumTo(gradient, bias),
  ];
};

export const layerNormalization: Readonly<Record<string, GradientRule>> = {
  LayerNormalization: layerNormalizationRule,
};
