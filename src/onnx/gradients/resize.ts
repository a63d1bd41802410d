import type { Shape } from "../shape.js";
import { type GradientContext, type GradientRule, isKnown } from "./gradient-rule.js";

/**
 * How nearest neighbours are chosen so that an upscale by a whole number repeats each element that many times, beside their
 * coordinate transformation. `factor` is the upscale along an axis.
 */
function repeats(transformation: string, nearest: string, factor: number): boolean {
  if (factor === 1) return true;
  if (transformation === "asymmetric") return nearest === "floor" || (nearest === "round_prefer_floor" && factor === 2);
  const centred = transformation === "half_pixel" || transformation === "pytorch_half_pixel";
  return centred && nearest.startsWith("round_prefer_");
}

/** The whole number by which an upscale repeats the elements along each axis. @throws invalid_model for any other resize */
function repetitions(context: GradientContext): number[] {
  const text = (name: string, fallback: string) => {
    const value = context.attribute(name);
    return typeof value === "string" ? value : fallback;
  };
  const mode = text("mode", "nearest");
  if (mode !== "nearest") context.fail(`only mode nearest is supported, got ${mode}`);
  const transformation = text("coordinate_transformation_mode", "half_pixel");
  const nearest = text("nearest_mode", "round_prefer_floor");
  return context.input(0).shape.map((size, axis) => {
    const target = context.output.shape[axis];
    if (target === size) return 1;
    const factor = typeof size === "number" && typeof target === "number" ? target / size : Number.NaN;
    if (!Number.isInteger(factor)) {
      context.fail(`only upscaling by whole numbers is supported, got ${size} to ${target} along axis ${axis}`);
    }
    if (repeats(transformation, nearest, factor)) return factor;
    return context.fail(`${transformation} with ${nearest} does not repeat each element ${factor} times`);
  });
}

/** Of an upscale by whole numbers, in which each element is repeated: the sum over its repetitions. */
const resize: GradientRule = (context: GradientContext) => [
  () => {
    const { graph, gradient } = context;
    const x = context.input(0);
    const factors = repetitions(context);
    // Axes before the first scaled one keep their sizes, known or not; the others are split into (size, factor).
    const first = factors.findIndex((factor) => factor !== 1);
    if (first < 0) return gradient;
    const scaled: Shape = x.shape.slice(first);
    if (!isKnown(scaled)) return context.fail("the sizes of the image must be known while building");
    const kept = x.shape.slice(0, first).map(() => 0);
    const cells = scaled.flatMap((size, at): number[] => [size, factors[first + at] ?? 1]);
    const repeated = scaled.map((_, at) => first + 2 * at + 1);
    return graph.withShape(graph.reduceSum(graph.reshape(gradient, [...kept, ...cells]), repeated), x.shape);
  },
];

export const resizing: Readonly<Record<string, GradientRule>> = { Resize: resize };
