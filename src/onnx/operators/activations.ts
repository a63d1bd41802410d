import { formatShape } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const floatingUnary: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  return [{ dtype: context.floating(x), shape: x.shape }];
};

/** The slope broadcasts to x, not the other way round. */
const prelu: Inference = (context: OperatorContext) => {
  const [x, slope] = [context.input(0), context.input(1)];
  context.sameType([x, slope]);
  if (formatShape(context.broadcast([x, slope])) !== formatShape(x.shape)) {
    context.fail(`the slope ${formatShape(slope.shape)} does not broadcast to ${formatShape(x.shape)}`);
  }
  return [{ dtype: context.floating(x), shape: x.shape }];
};

/** Activation functions that are not in the family of elementwise operators. */
export const activations: Readonly<Record<string, Inference>> = {
  PRelu: prelu,
  Celu: floatingUnary,
  Mish: floatingUnary,
  ThresholdedRelu: floatingUnary,
};
