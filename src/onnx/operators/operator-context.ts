import { AttuneError } from "../../errors/index.js";
import { type DataType, isFloating } from "../format/data-type.js";
import type { TensorData } from "../format/tensor-proto.js";
import { broadcastShapes, type Dimension, formatShape, type Shape } from "../shape.js";
import { type Attributes, FloatAttribute, type GraphNode, type Value, type ValueType } from "../value.js";

/** Infers the types of a node's outputs from its inputs and attributes, refusing what the operator does not take. */
export type Inference = (context: OperatorContext) => ValueType[];

/** Integer tensors of more elements are data, not shapes or axes, and are not followed while building. */
export const MAX_CONTENT = 64;

/** What an inference may look at, and how it refuses. */
export class OperatorContext {
  constructor(
    private readonly node: Omit<GraphNode, "outputs">,
    private readonly contents: ReadonlyMap<string, readonly Dimension[]>,
    private readonly freshName: (stem: string) => string,
    /** True where dimensions of different names may be one size. */
    readonly loose: boolean,
    private readonly initializers: ReadonlyMap<string, TensorData>,
  ) {}

  get inputs(): readonly (Value | undefined)[] {
    return this.node.inputs;
  }

  /** @throws invalid_model always, naming the node */
  fail(reason: string): never {
    throw new AttuneError("invalid_model", `Node "${this.node.origin}" (${this.node.opType}): ${reason}.`);
  }

  /** A name for a dimension that nothing known determines. */
  freshDimension(): string {
    return this.freshName("unknown");
  }

  /** A name for an integer that nothing known determines, and which may be negative. */
  freshNumber(): string {
    return this.freshName("number");
  }

  /** The input at a position. @throws invalid_model when it is left out */
  input(position: number): Value {
    const value = this.inputs[position];
    if (value === undefined) this.fail(`input ${position} is missing`);
    return value;
  }

  /** All inputs of an operator with a variable number of them. */
  present(): Value[] {
    if (this.inputs.length === 0) this.fail("at least one input is needed");
    return this.inputs.map((_, position) => this.input(position));
  }

  /** The elements of an integer input, where they are known while building. */
  content(value: Value | undefined): readonly Dimension[] | undefined {
    return value === undefined ? undefined : this.contents.get(value.name);
  }

  /** The data of an input that is an initializer or constant. */
  data(value: Value | undefined): TensorData | undefined {
    return value === undefined ? undefined : this.initializers.get(value.name);
  }

  /** The elements of an integer input, where all are known numbers. */
  numbers(value: Value | undefined): readonly number[] | undefined {
    const content = this.content(value);
    return content?.every((dimension) => typeof dimension === "number") === true ? (content as number[]) : undefined;
  }

  integer(name: string, fallback: number): number {
    const value = this.node.attributes[name];
    if (value === undefined) return fallback;
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number") this.fail(`the attribute ${name} must be an integer`);
    return number;
  }

  number(name: string, fallback: number): number {
    const value = this.node.attributes[name];
    return value instanceof FloatAttribute ? value.value : this.integer(name, fallback);
  }

  integers(name: string): readonly number[] | undefined {
    const value = this.node.attributes[name];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) this.fail(`the attribute ${name} must be a list of integers`);
    return value.map(Number);
  }

  attribute(name: string): Attributes[string] {
    return this.node.attributes[name];
  }

  /** An axis counted from the front. @throws invalid_model when it lies outside -rank..rank-1 */
  axis(axis: number, rank: number): number {
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
      this.fail(`axis ${axis} lies outside a tensor of rank ${rank}`);
    }
    return axis < 0 ? axis + rank : axis;
  }

  /** Distinct axes counted from the front, ascending. */
  axes(axes: readonly number[], rank: number): number[] {
    const positive = axes.map((axis) => this.axis(axis, rank)).sort((a, b) => a - b);
    if (new Set(positive).size !== positive.length) this.fail(`the axes [${axes.join(", ")}] name one axis twice`);
    return positive;
  }

  sameType(values: readonly Value[]): DataType {
    const first = values[0]?.dtype ?? this.fail("at least one input is needed");
    for (const value of values) {
      if (value.dtype !== first) {
        this.fail(`"${value.name}" is ${value.dtype}, but ${first} is expected as for "${values[0]?.name}"`);
      }
    }
    return first;
  }

  floating(value: Value): DataType {
    if (!isFloating(value.dtype)) this.fail(`"${value.name}" is ${value.dtype}, but a floating type is expected`);
    return value.dtype;
  }

  integral(value: Value): DataType {
    if (value.dtype !== "int64" && value.dtype !== "int32") {
      this.fail(`"${value.name}" is ${value.dtype}, but int64 or int32 is expected`);
    }
    return value.dtype;
  }

  ofType(value: Value, dtype: DataType): Value {
    if (value.dtype !== dtype) this.fail(`"${value.name}" is ${value.dtype}, but ${dtype} is expected`);
    return value;
  }

  broadcast(values: readonly Value[]): Shape {
    let shape: Shape = [];
    for (const value of values) {
      const next = broadcastShapes(shape, value.shape, this.loose);
      if (next === undefined) {
        this.fail(`the shapes ${values.map((each) => formatShape(each.shape)).join(" and ")} do not broadcast`);
      }
      shape = next;
    }
    return shape;
  }

  /** True where two dimensions are, or may be, one size. */
  fits(a: Dimension | undefined, b: Dimension | undefined): boolean {
    return a === b || (this.loose && (typeof a === "string" || typeof b === "string"));
  }

  dimension(value: Value, axis: number): Dimension {
    const dimension = value.shape[axis];
    if (dimension === undefined) this.fail(`"${value.name}" of shape ${formatShape(value.shape)} has no axis ${axis}`);
    return dimension;
  }
}
