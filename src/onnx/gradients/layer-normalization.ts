import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/**
 * With n = (x - mean) / deviation and y = n * scale + bias: d(scale) = sum(dy * n), d(bias) = sum(dy), and with h = dy * scale
 * dx = (h - mean(h) - n * mean(h * n)) / deviation.
 */
const layerNormalizationRule: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, scale, bias] = [context.input(0), context.input(1), context.node.inputs[2]];
  const from = context.axis(-1, x.shape.length);
  const axes = x.shape.flatMap((_, axis) => (axis >= from ? [axis] : []));
  let parts: { normalised: Value; inverse: Value; product: Value } | undefined;
  const shared = () => {
    const { mean, inverse } = statistics(context, x, axes);
    const normalised = graph.mul(graph.sub(x, mean), inverse);
    return { normalised, inverse, product: graph.mul(gradient, normalised) };
  };
  const toX = () => {
    parts ??= shared();
    const { normalised, inverse, product } = parts;
    const scaled = graph.mul(gradient, scale);
    const along = graph.reduceMean(graph.mul(product, scale), axes, true);
    const free = graph.sub(graph.sub(scaled, graph.reduceMean(scaled, axes, true)), graph.mul(normalised, along));
    return graph.mul(free, inverse);
  };
  const toScale = () => {
    parts ??= shared();
    return context.sumTo(parts.product, scale);
  };
  return [toX, toScale, bias === undefined ? undefined : () => context.sumTo(gradient, bias)];
};

/** Mean and 1 / deviation. The operator gives them as further outputs, in float32; for other types they are computed again. */
function statistics(context: GradientContext, x: Value, axes: readonly number[]): { mean: Value; inverse: Value } {
  const { graph, node } = context;
  const [, mean, inverse] = x.dtype === "float32" ? graph.withOutputs(node, 3) : [];
  if (mean !== undefined && inverse !== undefined) return { mean, inverse };
  const computed = graph.reduceMean(x, axes, true);
  const centred = graph.sub(x, computed);
  const variance = graph.reduceMean(graph.mul(centred, centred), axes, true);
  const deviation = graph.sqrt(graph.add(variance, context.number("epsilon", 1e-5)));
  return { mean: computed, inverse: graph.reciprocal(deviation) };
}

export const layerNormalization: Readonly<Record<string, GradientRule>> = {
  LayerNormalization: layerNormalizationRule,
};
