import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/** All axes but that of the channels, 1. */
const otherAxes = (x: Value) => x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
/** (channels) as (channels, 1, ...), so that it broadcasts along the axes after the channels. */
const perChannel = ({ graph }: GradientContext, x: Value, parameter: Value) =>
  graph.reshape(parameter, [-1, ...x.shape.slice(2).map(() => 1)]);

/**
 * With r = 1 / sqrt(variance + epsilon) and y = scale (x - mean) r + bias: dx = dy scale r, d(scale) = sum(dy (x - mean)) r,
 * d(bias) = sum(dy), d(mean) = -sum(dy) scale r, d(variance) = -1/2 sum(dy (x - mean)) scale r^3.
 *
 * Statistics that are stored rather than computed are no weights but were measured, and stay as they are: a variance that a step of
 * training took below 0 would make everything NaN.
 */
const batchNormalization: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, scale, mean, variance] = [context.input(0), context.input(1), context.input(3), context.input(4)];
  const precision = () => graph.reciprocal(graph.sqrt(graph.add(variance, context.number("epsilon", 1e-5))));
  const factor = () => graph.mul(scale, precision());
  const sum = () => graph.reduceSum(gradient, otherAxes(x));
  const along = () => {
    const centred = graph.sub(x, perChannel(context, x, mean));
    return graph.reduceSum(graph.mul(gradient, centred), otherAxes(x));
  };
  const ifComputed = (statistic: Value, rule: () => Value) =>
    graph.producerOf(statistic) === undefined ? undefined : rule;
  return [
    () => graph.mul(gradient, perChannel(context, x, factor())),
    () => graph.mul(along(), precision()),
    sum,
    ifComputed(mean, () => graph.neg(graph.mul(sum(), factor()))),
    ifComputed(variance, () => {
      const squared = graph.reciprocal(graph.add(variance, context.number("epsilon", 1e-5)));
      return graph.mul(graph.mul(along(), -0.5), graph.mul(factor(), squared));
    }),
  ];
};

/** As layer normalisation, over the spatial axes of each channel of each image. */
const instanceNormalization: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [x, scale] = [context.input(0), context.input(1)];
  const axes = x.shape.slice(2).map((_, at) => at + 2);
  const mean = (value: Value) => graph.reduceMean(value, axes, true);
  const centred = graph.sub(x, mean(x));
  const deviation = graph.sqrt(graph.add(mean(graph.mul(centred, centred)), context.number("epsilon", 1e-5)));
  const normalised = graph.div(centred, deviation);
  return [
    () => {
      const scaled = graph.mul(gradient, perChannel(context, x, scale));
      const along = graph.mul(normalised, mean(graph.mul(scaled, normalised)));
      return graph.div(graph.sub(graph.sub(scaled, mean(scaled)), along), deviation);
    },
    () => graph.reduceSum(graph.mul(gradient, normalised), otherAxes(x)),
    () => graph.reduceSum(gradient, otherAxes(x)),
  ];
};

export const normalization: Readonly<Record<string, GradientRule>> = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};
