import { AttuneError } from "../../errors/index.js";
import { formatShape } from "../shape.js";
import {
  allocate,
  bytesPerElement,
  type DataType,
  dataTypeCode,
  dataTypeOfCode,
  fitsDataType,
  isBigInt,
  type TypedArray,
  viewBytes,
} from "./data-type.js";
import { type Int64, int64ToBigInt, int64ToNumber } from "./int64.js";
import type { TensorProto } from "./proto.js";

/** `TensorProto.DataLocation.EXTERNAL`. */
const EXTERNAL = 1;
/** Types that have no plain array, by their number in `TensorProto.DataType`. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  8: "string",
  14: "complex64",
  15: "complex128",
  16: "bfloat16",
};

/** A tensor with its elements in row-major order. */
export interface TensorData {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/**
 * A tensor as its message; the data is not copied.
 * @throws invalid_model when the data does not fit the type or the shape
 */
export function tensorToProto(name: string, { dtype, shape, data }: TensorData): TensorProto {
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  if (!fitsDataType(dtype, data) || data.length !== count) {
    throw new AttuneError(
      "invalid_model",
      `The tensor "${name}" of ${dtype} ${formatShape(shape)} needs ${count} elements in the array type of ${dtype}; got a ${data.constructor.name} of ${data.length}.`,
    );
  }
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dims: [...shape], dataType: dataTypeCode(dtype), rawData };
}

/**
 * The tensor of a message; a view of its raw data where the alignment allows it.
 * @throws invalid_model when the data lies in another file, has a type without a plain array, or does not fit the shape
 */
export function tensorOfProto(proto: TensorProto): TensorData {
  const { dtype, shape } = checkTensorProto(proto);
  return { dtype, shape, data: hasRawData(proto) ? viewBytes(dtype, proto.rawData) : listed(dtype, proto) };
}

/** The same tensor, its raw data copied where `tensorOfProto` would have to at every reading: where a file put it at an odd place. */
export function alignedProto(proto: TensorProto): TensorProto {
  const dtype = dataTypeOfCode(proto.dataType ?? 0);
  if (dtype === undefined || !hasRawData(proto) || proto.rawData.byteOffset % bytesPerElement(dtype) === 0)
    return proto;
  return { ...proto, rawData: new Uint8Array(proto.rawData) };
}

/** Checks a tensor's message without reading the data. @throws invalid_model as `tensorOfProto` */
export function checkTensorProto(proto: TensorProto): Omit<TensorData, "data"> {
  const name = proto.name ?? "";
  const dtype = dataTypeOfCode(proto.dataType ?? 0);
  if (dtype === undefined) {
    throw new AttuneError(
      "invalid_model",
      `The tensor "${name}" has the data type ${typeName(proto.dataType ?? 0)}, which is not supported. Export the model in float32.`,
    );
  }
  if (proto.dataLocation === EXTERNAL) {
    const file = proto.externalData?.find(({ key }) => key === "location")?.value ?? "?";
    throw new AttuneError(
      "invalid_model",
      `The data of the tensor "${name}" lies in another file, "${file}". Put it into the model: onnx.save_model(onnx.load("model.onnx"), "whole.onnx", save_as_external_data=False) in Python.`,
    );
  }
  const shape = (proto.dims ?? []).map(int64ToNumber);
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  const length = hasRawData(proto) ? proto.rawData.byteLength / bytesPerElement(dtype) : fieldOf(dtype, proto).length;
  if (length !== count) {
    throw new AttuneError(
      "invalid_model",
      `The tensor "${name}" of ${dtype} ${formatShape(shape)} has ${length} elements instead of ${count}.`,
    );
  }
  return { dtype, shape };
}

function hasRawData(proto: TensorProto): proto is TensorProto & { rawData: Uint8Array } {
  return proto.rawData !== undefined && proto.rawData.length > 0;
}

function typeName(code: number): string {
  return OTHER_TYPES[code] ?? `number ${code}`;
}

/** Elements from the field that onnx.proto assigns to each type when there is no raw data. */
function listed(dtype: DataType, proto: TensorProto): TypedArray {
  const values: readonly Int64[] = fieldOf(dtype, proto);
  const data = allocate(dtype, values.length);
  for (const [index, value] of values.entries()) {
    data[index] = isBigInt(dtype) ? int64ToBigInt(value) : int64ToNumber(value);
  }
  return data;
}

function fieldOf(dtype: DataType, proto: TensorProto): readonly Int64[] {
  switch (dtype) {
    case "float32":
      return proto.floatData ?? [];
    case "float64":
      return proto.doubleData ?? [];
    case "int64":
      return proto.int64Data ?? [];
    case "uint32":
    case "uint64":
      return proto.uint64Data ?? [];
    default:
      return proto.int32Data ?? [];
  }
}
