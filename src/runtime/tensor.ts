import { AttuneError } from "../errors/index.js";

/** The array type of each element type (`float16` as its bits, `bool` as bytes of 0 or 1). */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

export type TensorType = keyof typeof ARRAYS;
export type TensorArray =
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

/** A tensor in this process's memory; elements in row-major order. */
export interface Tensor {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  readonly data: TensorArray;
}

/**
 * Checks a tensor that is about to be fed.
 * @throws internal when the array's type or length does not fit
 */
export function checkTensor(name: string, { dtype, shape, data }: Tensor): void {
  const count = shape.reduce((product, size) => product * size, 1);
  if (data instanceof ARRAYS[dtype] && data.length === count) return;
  throw new AttuneError(
    "internal",
    `The input "${name}" of ${dtype} [${shape.join(", ")}] needs a ${ARRAYS[dtype].name} of ${count} elements; got a ${data.constructor.name} of ${data.length}.`,
  );
}

/** True for the element types that a `Tensor` can hold. */
export function isTensorType(type: string): type is TensorType {
  return type in ARRAYS;
}
