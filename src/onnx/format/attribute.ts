import { type AttributeValue, FloatAttribute } from "../value.js";
import { type Int64, int64Of, int64ToBigInt } from "./int64.js";
import { ATTRIBUTE_TYPE, type AttributeProto } from "./proto.js";

/** An attribute as its message. */
export function attributeToProto(name: string, value: AttributeValue): AttributeProto {
  if (value instanceof FloatAttribute) return { name, type: ATTRIBUTE_TYPE.float, f: value.value };
  if (typeof value === "bigint") return { name, type: ATTRIBUTE_TYPE.int, i: int64Of(value) };
  if (typeof value === "number") {
    return Number.isSafeInteger(value)
      ? { name, type: ATTRIBUTE_TYPE.int, i: value }
      : { name, type: ATTRIBUTE_TYPE.float, f: value };
  }
  if (typeof value === "string") return { name, type: ATTRIBUTE_TYPE.string, s: Buffer.from(value, "utf8") };
  if ("tensor" in value) return { name, type: ATTRIBUTE_TYPE.tensor, t: value.tensor };
  if ("graph" in value) return { name, type: ATTRIBUTE_TYPE.graph, g: value.graph };
  if ("proto" in value) return { ...value.proto, name };
  return listToProto(name, value);
}

function listToProto(name: string, list: readonly (number | bigint | string)[]): AttributeProto {
  if (list.length > 0 && list.every((item) => typeof item === "string")) {
    return { name, type: ATTRIBUTE_TYPE.strings, strings: list.map((item) => Buffer.from(item, "utf8")) };
  }
  const numbers = list.filter((item) => typeof item !== "string");
  if (numbers.every((item) => typeof item === "bigint" || Number.isSafeInteger(item))) {
    const ints: Int64[] = numbers.map((item) => (typeof item === "bigint" ? int64Of(item) : item));
    return { name, type: ATTRIBUTE_TYPE.ints, ints };
  }
  return { name, type: ATTRIBUTE_TYPE.floats, floats: numbers.map(Number) };
}

/** The attribute of a message; kinds that nothing here looks into stay messages. */
export function attributeOfProto(proto: AttributeProto): AttributeValue {
  const { type, f = 0, i = 0, s = new Uint8Array(), t, g, ints = [], strings = [] } = proto;
  if (type === ATTRIBUTE_TYPE.float) return new FloatAttribute(f);
  if (type === ATTRIBUTE_TYPE.int) return wholeNumber(i);
  if (type === ATTRIBUTE_TYPE.string) return textOf(s);
  if (type === ATTRIBUTE_TYPE.tensor && t !== undefined) return { tensor: t };
  if (type === ATTRIBUTE_TYPE.graph && g !== undefined) return { graph: g };
  if (type === ATTRIBUTE_TYPE.ints) {
    const list = ints.map(int64ToBigInt);
    return list.every(isSafe) ? list.map(Number) : list;
  }
  if (type === ATTRIBUTE_TYPE.strings && strings.length > 0) return strings.map(textOf);
  return { proto };
}

function wholeNumber(value: Int64): number | bigint {
  const exact = int64ToBigInt(value);
  return isSafe(exact) ? Number(exact) : exact;
}

function isSafe(value: bigint): boolean {
  return Number.isSafeInteger(Number(value));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}
