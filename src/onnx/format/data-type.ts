import { AttuneError } from "../../errors/index.js";

/** The element types of ONNX that have a plain JavaScript array type (`float16` as its bits, `bool` as 0 or 1 bytes). */
export type DataType =
  | "float32"
  | "uint8"
  | "int8"
  | "uint16"
  | "int16"
  | "int32"
  | "int64"
  | "bool"
  | "float16"
  | "float64"
  | "uint32"
  | "uint64";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
}

interface Description {
  /** The number in `TensorProto.DataType`. */
  readonly code: number;
  readonly array: TypedArrayConstructor;
}

const DATA_TYPES: Readonly<Record<DataType, Description>> = {
  float32: { code: 1, array: Float32Array },
  uint8: { code: 2, array: Uint8Array },
  int8: { code: 3, array: Int8Array },
  uint16: { code: 4, array: Uint16Array },
  int16: { code: 5, array: Int16Array },
  int32: { code: 6, array: Int32Array },
  int64: { code: 7, array: BigInt64Array },
  bool: { code: 9, array: Uint8Array },
  float16: { code: 10, array: Uint16Array },
  float64: { code: 11, array: Float64Array },
  uint32: { code: 12, array: Uint32Array },
  uint64: { code: 13, array: BigUint64Array },
};

const NAMES = new Map<number, DataType>();
for (const name of Object.keys(DATA_TYPES) as DataType[]) NAMES.set(DATA_TYPES[name].code, name);

/** The number of a data type in `TensorProto.DataType`. */
export function dataTypeCode(dtype: DataType): number {
  return DATA_TYPES[dtype].code;
}

/** The data type of a `TensorProto.DataType` number, or undefined where it has no plain array (string, complex, 4 and 8 bit floats). */
export function dataTypeOfCode(code: number): DataType | undefined {
  return NAMES.get(code);
}

/** Bytes of one element. */
export function bytesPerElement(dtype: DataType): number {
  return DATA_TYPES[dtype].array.BYTES_PER_ELEMENT;
}

/** True for the floating point types. */
export function isFloating(dtype: DataType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16";
}

/** True where the elements are JavaScript bigints. */
export function isBigInt(dtype: DataType): dtype is "int64" | "uint64" {
  return dtype === "int64" || dtype === "uint64";
}

/** An array of zeros for `length` elements of this type. */
export function allocate(dtype: DataType, length: number): TypedArray {
  return new DATA_TYPES[dtype].array(length);
}

/** True when `data` is the array type that holds elements of this type. */
export function fitsDataType(dtype: DataType, data: TypedArray): boolean {
  return data instanceof DATA_TYPES[dtype].array;
}

/**
 * Little-endian bytes seen as elements: a view where the alignment allows it, else a copy.
 * @throws invalid_model when the bytes are not a whole number of elements
 */
export function viewBytes(dtype: DataType, bytes: Uint8Array): TypedArray {
  const { array } = DATA_TYPES[dtype];
  const size = array.BYTES_PER_ELEMENT;
  if (bytes.byteLength % size !== 0) {
    throw new AttuneError(
      "invalid_model",
      `A tensor of ${dtype} has ${bytes.byteLength} bytes of data, which is no multiple of ${size}.`,
    );
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new array(aligned.buffer, aligned.byteOffset, bytes.byteLength / size);
}

/**
 * Numbers as elements of a type.
 * @throws invalid_model for float16, which has no plain array of numbers
 */
export function elementsOf(dtype: DataType, values: readonly number[]): TypedArray {
  if (dtype === "float16") {
    throw new AttuneError("invalid_model", "A float16 constant must be given as a Uint16Array of its bits.");
  }
  const elements = allocate(dtype, values.length);
  for (const [index, value] of values.entries()) elements[index] = isBigInt(dtype) ? BigInt(value) : value;
  return elements;
}
