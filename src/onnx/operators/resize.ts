import { formatShape, productOf } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

/**
 * Resize in the forms of operator set 11 and later: the new size by `scales` or by `sizes`. Types are inferred for every mode, since
 * only gradients depend on it.
 */
const resize: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const rank = x.shape.length;
  const policy = context.attribute("keep_aspect_ratio_policy") ?? "stretch";
  if (policy !== "stretch") context.fail(`keep_aspect_ratio_policy ${policy} is not supported; use stretch`);
  const axes = context.axes(context.integers("axes") ?? x.shape.map((_, axis) => axis), rank);
  const shape = [...x.shape];
  // A left out input may also stand there as an empty tensor.
  const [scales, sizes] = [context.inputs[2], context.inputs[3]].map((value) =>
    value?.shape[0] === 0 ? undefined : value,
  );
  if ((scales === undefined) === (sizes === undefined)) context.fail("either scales or sizes must be given");
  const numbers = sizes === undefined ? context.data(scales)?.data : context.content(sizes);
  if (numbers !== undefined && numbers.length !== axes.length) {
    context.fail(`${axes.length} numbers are needed for ${formatShape(x.shape)}, got ${numbers.length}`);
  }
  for (const [at, axis] of axes.entries()) {
    const [size = 1, number] = [x.shape[axis], numbers?.[at]];
    if (number === undefined) shape[axis] = context.freshDimension();
    else if (sizes !== undefined) shape[axis] = typeof number === "bigint" ? Number(number) : number;
    else if (typeof size === "number") shape[axis] = Math.floor(size * Number(number));
    else shape[axis] = Number.isInteger(number) ? productOf([size, Number(number)]) : context.freshDimension();
  }
  return [{ dtype: x.dtype, shape }];
};

export const resizing: Readonly<Record<string, Inference>> = { Resize: resize };
