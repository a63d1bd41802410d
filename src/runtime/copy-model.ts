import type { TensorType } from "./tensor.js";

/** Numbers of the element types in onnx.proto (`TensorProto.DataType`). */
const DATA_TYPES: Readonly<Record<TensorType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/**
 * The model y = x for a tensor of any shape, as the bytes of an ONNX file. It is how a tensor on a device is read: fed to this model,
 * it comes out in this process's memory. It is so small that it is written here number by number; a `ModelProto` of one Identity node.
 */
export function copyModel(dtype: TensorType): Uint8Array {
  const value = (name: string) => [...text(1, name), ...bytes(2, bytes(1, integer(1, DATA_TYPES[dtype])))];
  const node = [...text(1, "x"), ...text(2, "y"), ...text(4, "Identity")];
  const graph = [...bytes(1, node), ...text(2, "copy"), ...bytes(11, value("x")), ...bytes(12, value("y"))];
  const operators = integer(2, 18);
  return Uint8Array.from([...integer(1, 8), ...bytes(7, graph), ...bytes(8, operators)]);
}

/** A field of a protobuf message, of a number below 128. */
function integer(field: number, value: number): number[] {
  return [field << 3, value];
}

/** A field of fewer than 128 bytes. */
function bytes(field: number, content: readonly number[]): number[] {
  return [(field << 3) | 2, content.length, ...content];
}

function text(field: number, content: string): number[] {
  return bytes(field, [...Buffer.from(content)]);
}
