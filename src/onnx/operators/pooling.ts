import { type Dimension, formatShape } from "../shape.js";
import type { Value } from "../value.js";
import { extentOf, placesOf, type Window, type WindowAxis, windowOf } from "../window.js";
import type { Inference, OperatorContext } from "./operator-context.js";

function image(context: OperatorContext): Value {
  const x = context.input(0);
  if (x.shape.length < 3) context.fail(`images (n, channels, ...) are expected, got ${formatShape(x.shape)}`);
  return x;
}

function poolWindow(context: OperatorContext, spatial: readonly Dimension[]): Window {
  const kernel = context.integers("kernel_shape") ?? context.fail("the attribute kernel_shape is missing");
  if (kernel.length !== spatial.length) {
    context.fail(`kernel_shape [${kernel.join(", ")}] does not fit ${spatial.length} spatial axes`);
  }
  return windowOf(context, spatial, kernel);
}

/** With `ceil_mode` a last window may hang over the end, as long as it begins inside. */
function placesRoundedUp(context: OperatorContext, size: Dimension, axis: WindowAxis): Dimension {
  if (typeof size !== "number") context.fail("ceil_mode needs known sizes");
  const places = Math.ceil((size + axis.begin + axis.end - extentOf(axis)) / axis.stride) + 1;
  return (places - 1) * axis.stride >= size + axis.begin ? places - 1 : places;
}

function pooledShape(context: OperatorContext, x: Value): Dimension[] {
  const spatial = x.shape.slice(2);
  const window = poolWindow(context, spatial);
  const roundedUp = context.integer("ceil_mode", 0) !== 0;
  const sizes = spatial.map((size, at) => {
    const axis = window[at];
    const places = axis && (roundedUp ? placesRoundedUp(context, size, axis) : placesOf(size, axis));
    return places ?? context.fail(`the window is larger than "${x.name}" of ${formatShape(x.shape)} with its padding`);
  });
  return [...x.shape.slice(0, 2), ...sizes];
}

const maxPool: Inference = (context: OperatorContext) => {
  const x = image(context);
  const shape = pooledShape(context, x);
  return [
    { dtype: x.dtype, shape },
    { dtype: "int64", shape },
  ];
};

const averagePool: Inference = (context: OperatorContext) => {
  const x = image(context);
  return [{ dtype: context.floating(x), shape: pooledShape(context, x) }];
};

const globalPool: Inference = (context: OperatorContext) => {
  const x = image(context);
  return [{ dtype: context.floating(x), shape: x.shape.map((size, axis) => (axis < 2 ? size : 1)) }];
};

/** Operators that summarise neighbourhoods of images. */
export const pooling: Readonly<Record<string, Inference>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
};
