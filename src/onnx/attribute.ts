import { type Int64, int64Of } from "./int64.js";
import { ATTRIBUTE_TYPE, type AttributeProto } from "./proto.js";
import { type AttributeValue, FloatAttribute } from "./value.js";

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
