import { int64ToNumber } from "../format/int64.js";
import { ATTRIBUTE_TYPE, type AttributeProto, type NodeProto } from "../format/proto.js";

/** An attribute of a node, by name. */
export function attributeNamed(node: NodeProto, name: string): AttributeProto | undefined {
  return (node.attribute ?? []).find((attribute) => attribute.name === name);
}

export function integerNamed(node: NodeProto, name: string, fallback: number): number {
  const attribute = attributeNamed(node, name);
  // Some writers leave out a 0.
  return attribute === undefined ? fallback : int64ToNumber(attribute.i ?? 0);
}

export function integersNamed(node: NodeProto, name: string): number[] | undefined {
  return attributeNamed(node, name)?.ints?.map(int64ToNumber);
}

/** The same node without an attribute. */
export function withoutAttribute(node: NodeProto, name: string): NodeProto {
  return { ...node, attribute: (node.attribute ?? []).filter((attribute) => attribute.name !== name) };
}

/** The same node with an integer attribute set. */
export function withInteger(node: NodeProto, name: string, value: number): NodeProto {
  const { attribute = [] } = withoutAttribute(node, name);
  return { ...node, attribute: [...attribute, { name, type: ATTRIBUTE_TYPE.int, i: value }] };
}
