import { formatShape } from "../shape.js";
import type { Value } from "../value.js";
import type { Inference, OperatorContext } from "./operator-context.js";

/** One number for every channel. */
function checkChannels(context: OperatorContext, x: Value, parameter: Value): void {
  const channels = context.dimension(x, 1);
  const [size] = parameter.shape;
  const fits = parameter.shape.length === 1 && (size === channels || typeof size !== typeof channels);
  if (!fits) {
    const got = `"${parameter.name}" is ${formatShape(parameter.shape)}`;
    context.fail(`"${x.name}" of ${formatShape(x.shape)} needs a number for each channel, but ${got}`);
  }
}

const batchNormalization: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  if (context.integer("training_mode", 0) !== 0) {
    context.fail("training_mode 1 is not supported; export the model for inference, with fixed statistics");
  }
  for (const at of [1, 2, 3, 4]) checkChannels(context, x, context.input(at));
  return [{ dtype: context.floating(x), shape: x.shape }];
};

const instanceNormalization: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  for (const at of [1, 2]) checkChannels(context, x, context.input(at));
  return [{ dtype: context.floating(x), shape: x.shape }];
};

/** Normalisations of images by channel. */
export const normalization: Readonly<Record<string, Inference>> = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};
