import type { DataType } from "./format/data-type.js";
import type { AttributeProto, GraphProto, TensorProto } from "./format/proto.js";
import type { Dimension, Shape } from "./shape.js";

/** A tensor of a graph: what a node, an input or an initializer gives. Made by a `GraphBuilder`, and usable in that one only. */
export interface Value {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: Shape;
}

/** The type of a value before it has a name. */
export interface ValueType {
  readonly dtype: DataType;
  readonly shape: Shape;
  /** The elements of an integer tensor of rank 0 or 1, where they are known while building (shapes, axes, bounds). */
  readonly content?: readonly Dimension[];
}

/** A number that is written as a float attribute even when it is whole. */
export class FloatAttribute {
  constructor(readonly value: number) {}
}

/** Marks a number as a float attribute: `float(1)`; numbers that are not whole need no mark. */
export function float(value: number): FloatAttribute {
  return new FloatAttribute(value);
}

/** An attribute: a whole number is an int, any other number a float; see `float`. */
export type AttributeValue =
  | number
  | bigint
  | string
  | FloatAttribute
  | readonly number[]
  | readonly bigint[]
  | readonly string[]
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto }
  /** Any other kind, passed on as it is. */
  | { readonly proto: AttributeProto };

export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** A node of a graph under construction. An optional input that is left out is undefined. */
export interface GraphNode {
  readonly name: string;
  /** What people know it by, in messages: its name in the model that it was imported from, else `name`. */
  readonly origin: string;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  /** The values of the graph that subgraphs among the attributes read, by the names they use there. */
  readonly captures: ReadonlyMap<string, Value>;
}
