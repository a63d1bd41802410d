import { dataTypeCode } from "../format/data-type.js";
import { float16ToFloat32 } from "../format/float16.js";
import { int64ToNumber } from "../format/int64.js";
import type { AttributeProto, NodeProto, TensorProto, TypeProto, ValueInfoProto } from "../format/proto.js";
import { tensorOfProto, tensorToProto } from "../format/tensor-proto.js";

/*
 * A model of float16 as the same model of float32: half precision is too coarse to train in, for an update is often less than the
 * spacing of the numbers around a weight.
 */

const HALF = dataTypeCode("float16");
const SINGLE = dataTypeCode("float32");
/** Attributes that hold the number of a data type. */
const TYPE_ATTRIBUTES = new Set(["to", "dtype", "output_datatype"]);

/** A tensor, as float32 where it is float16. */
export function singleTensor(proto: TensorProto): TensorProto {
  if (proto.dataType !== HALF) return proto;
  const { shape, data } = tensorOfProto(proto);
  const single = { dtype: "float32" as const, shape, data: float16ToFloat32(data as Uint16Array) };
  return tensorToProto(proto.name ?? "", single);
}

/** The declaration of an input, output or intermediate value, as float32 where it is float16. */
export function singleValueInfo(info: ValueInfoProto): ValueInfoProto {
  return info.type === undefined ? info : { ...info, type: singleType(info.type) };
}

function singleType(type: TypeProto): TypeProto {
  const { tensorType, sequenceType, optionalType } = type;
  if (tensorType?.elemType === HALF) return { ...type, tensorType: { ...tensorType, elemType: SINGLE } };
  if (sequenceType?.elemType !== undefined)
    return { ...type, sequenceType: { elemType: singleType(sequenceType.elemType) } };
  if (optionalType?.elemType !== undefined)
    return { ...type, optionalType: { elemType: singleType(optionalType.elemType) } };
  return type;
}

/** A node that makes float32 wherever its attributes ask for float16. */
export function singleNode(node: NodeProto): NodeProto {
  return { ...node, attribute: (node.attribute ?? []).map(singleAttribute) };
}

function singleAttribute(attribute: AttributeProto): AttributeProto {
  const { name = "", i, t } = attribute;
  if (t !== undefined) return { ...attribute, t: singleTensor(t) };
  if (TYPE_ATTRIBUTES.has(name) && i !== undefined && int64ToNumber(i) === HALF) return { ...attribute, i: SINGLE };
  return attribute;
}
