import { type DataType, elementsOf } from "../format/data-type.js";
import { int64ToNumber } from "../format/int64.js";
import type { NodeProto, TensorProto } from "../format/proto.js";
import { tensorToProto } from "../format/tensor-proto.js";
import { attributeNamed } from "./node-attributes.js";

/** Told in the documentation of a tensor that was a Constant node: a part of the architecture, and no weight. */
export const CONSTANT_MARK = "constant";

/** The tensor that a Constant node gives, or undefined where it is text or sparse. */
export function tensorOfConstant(node: NodeProto): TensorProto | undefined {
  const [name = ""] = node.output ?? [];
  const given = (attribute: string) => attributeNamed(node, attribute);
  const tensor = (dtype: DataType, values: readonly number[], shape: readonly number[]) =>
    tensorToProto(name, { dtype, shape, data: elementsOf(dtype, values) });

  const whole = given("value")?.t;
  if (whole !== undefined) return { ...whole, name };
  const float = given("value_float");
  if (float !== undefined) return tensor("float32", [float.f ?? 0], []);
  const int = given("value_int");
  if (int !== undefined) return tensor("int64", [int64ToNumber(int.i ?? 0)], []);
  const floats = given("value_floats")?.floats;
  if (floats !== undefined) return tensor("float32", floats, [floats.length]);
  const ints = given("value_ints")?.ints?.map(int64ToNumber);
  return ints === undefined ? undefined : tensor("int64", ints, [ints.length]);
}
