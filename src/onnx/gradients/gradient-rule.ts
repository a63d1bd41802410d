import { AttuneError } from "../../errors/index.js";
import type { GraphBuilder } from "../graph-builder.js";
import { type Dimension, type Shape, sameShape } from "../shape.js";
import { type Attributes, FloatAttribute, type GraphNode, type Value } from "../value.js";

/**
 * The chain rule of one operator: for each input, how its gradient comes from the gradients of the outputs, or undefined where
 * that is zero or does not exist. A gradient has the shape of its input, or axes of size 1 in place of some, along which it is the
 * same everywhere. Only the gradients that are needed are made, and no node is added before.
 */
export type GradientRule = (context: GradientContext) => readonly (Gradient | undefined)[];
export type Gradient = (() => Value) & {
  /** The gradient added to what other uses of the input gave, in its shape, where the operator adds it up at less than a sum would cost. */
  readonly addedTo?: (sum: Value) => Value;
};

/** @param make the gradient, added to `sum` where that is given */
export function adding(make: (sum?: Value) => Value): Gradient {
  return Object.assign(() => make(), { addedTo: make });
}

/** What a rule sees: the node, the gradients of its outputs, and helpers on shapes. */
export class GradientContext {
  readonly #whole = new Map<number, Value>();

  constructor(
    readonly graph: GraphBuilder,
    readonly node: GraphNode,
    private readonly gradients: readonly (Value | undefined)[],
  ) {}

  /** The gradient of the first output, in the output's shape. */
  get gradient(): Value {
    return this.gradientOf(0) ?? this.fail("only the first output can be differentiated");
  }

  /**
   * The gradient of the first output, perhaps with axes of size 1 where it is the same along them: for rules that multiply it with
   * inputs, so that it is not repeated in memory before.
   */
  get narrowGradient(): Value {
    return this.gradients[0] ?? this.fail("only the first output can be differentiated");
  }

  /** The gradient of an output in its shape, or undefined where nothing depends on it. */
  gradientOf(position: number): Value | undefined {
    const [narrow, output] = [this.gradients[position], this.node.outputs[position]];
    if (narrow === undefined || output === undefined) return undefined;
    const whole = this.#whole.get(position) ?? this.widened(narrow, output);
    this.#whole.set(position, whole);
    return whole;
  }

  /** The gradient of an operand that the output takes over as it is, with broadcasting. */
  passedTo(input: Value): Value {
    return sameShape(input.shape, this.output.shape) ? this.narrowGradient : this.sumTo(this.gradient, input);
  }

  /** Repeats a value along axes of size 1, to the shape of another. */
  widened(narrow: Value, like: Value): Value {
    if (!isNarrower(narrow.shape, like.shape)) return narrow;
    return this.graph.withShape(this.graph.expand(narrow, this.shapeOf(like)), like.shape);
  }

  get output(): Value {
    return this.node.outputs[0] ?? this.fail("it has no output");
  }

  input(position: number): Value {
    return this.node.inputs[position] ?? this.fail(`input ${position} is missing`);
  }

  /** @throws invalid_model always, naming the node */
  fail(reason: string): never {
    throw new AttuneError(
      "invalid_model",
      `Node "${this.node.origin}" (${this.node.opType}) cannot be differentiated: ${reason}.`,
    );
  }

  integer(name: string, fallback: number): number {
    const value = this.node.attributes[name];
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : fallback;
  }

  number(name: string, fallback: number): number {
    const value = this.node.attributes[name];
    return value instanceof FloatAttribute ? value.value : this.integer(name, fallback);
  }

  integers(name: string): number[] | undefined {
    const value = this.node.attributes[name];
    return Array.isArray(value) ? value.map(Number) : undefined;
  }

  attribute(name: string): Attributes[string] {
    return this.node.attributes[name];
  }

  /** An axis attribute, counted from the front. */
  axis(fallback: number, rank: number): number {
    const axis = this.integer("axis", fallback);
    return axis < 0 ? axis + rank : axis;
  }

  /** Undoes a broadcast: sums over the axes along which `like` was repeated. */
  sumTo(gradient: Value, like: Value): Value {
    const extra = gradient.shape.length - like.shape.length;
    const leading = Array.from({ length: extra }, (_, axis) => axis);
    const repeated = like.shape.flatMap((size, axis) =>
      size === 1 && gradient.shape[axis + extra] !== 1 ? [axis] : [],
    );
    const summed = this.#summed(
      gradient,
      leading,
      repeated.map((axis) => axis + extra),
      like,
    );
    const uncertain = like.shape.some((size, axis) => {
      const found = summed.shape[axis];
      return typeof size === "string" && found !== 1 && found !== size;
    });
    return uncertain ? this.#sumWhereOne(summed, like) : summed;
  }

  /** One sum over axes to be dropped and axes to be kept. */
  #summed(gradient: Value, dropped: readonly number[], kept: readonly number[], like: Value): Value {
    const { graph } = this;
    if (kept.length === 0) return dropped.length === 0 ? gradient : graph.reduceSum(gradient, dropped);
    if (dropped.length === 0) return graph.reduceSum(gradient, kept, true);
    return graph.reshape(graph.reduceSum(gradient, [...dropped, ...kept]), this.shapeOf(like));
  }

  /** Two names may stand for one size, or for one that was 1 and repeated, which only the run knows. */
  #sumWhereOne(gradient: Value, like: Value): Value {
    const { graph } = this;
    const axes = graph.reshape(graph.nonZero(graph.equal(graph.shape(like), 1)), [-1]);
    const attributes = { keepdims: 1, noop_with_empty_axes: 1 };
    const [summed = gradient] = graph.node("ReduceSum", [gradient, axes], attributes, [like]);
    return summed;
  }

  /** The shape of a value as an int64 vector: a constant where it is known. */
  shapeOf(value: Value): Value {
    return this.dimensions(value, 0, value.shape.length);
  }

  /** Some of the dimensions of a value as an int64 vector. */
  dimensions(value: Value, from: number, to: number): Value {
    const part = value.shape.slice(from, to);
    if (isKnown(part)) return this.graph.constant(part, "int64");
    const shape = this.graph.shape(value);
    return part.length === value.shape.length ? shape : this.graph.slice(shape, [from], [to]);
  }

  /** Zeros in the shape of a value. */
  zerosLike(value: Value): Value {
    return this.graph.constantOfShape(this.shapeOf(value), 0, value.dtype);
  }

  /** The data of a scalar constant. */
  scalarOf(value: Value): number | undefined {
    const data = this.graph.dataOf(value)?.data;
    return data?.length === 1 ? Number(data[0]) : undefined;
  }

  /** 1 where the condition holds, else 0. */
  indicator(condition: Value, dtype: Value["dtype"]): Value {
    return this.graph.cast(condition, dtype);
  }
}

/** True where a shape has axes of size 1 in place of others, and is the same else. */
export function isNarrower(narrow: Shape, wide: Shape): boolean {
  return narrow.length === wide.length && narrow.some((size, axis) => size === 1 && wide[axis] !== 1);
}

export function isKnown(shape: Shape): shape is readonly number[] {
  return shape.every((size: Dimension) => typeof size === "number");
}
