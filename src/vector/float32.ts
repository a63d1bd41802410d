import { endianness } from "node:os";
import { AttuneError } from "../errors/index.js";
import { dot } from "./maths.js";
import type { Metric } from "./metric.js";
import { smallBytes } from "./small-arrays.js";

const BIG_ENDIAN = endianness() === "BE";

/**
 * The largest L2 norm under the Euclidean metric: the squared distance of two such vectors, at most
 * (2 x 9e18)^2 = 3.24e38, still fits float32 (3.4e38), in which the index computes.
 */
export const MAX_EUCLIDEAN_NORM = 9e18;

/** Little-endian float32 bytes as numbers, in memory of their own (any alignment, any platform). */
export function decodeFloat32(bytes: Uint8Array): Float32Array {
  return viewFloat32(new Uint8Array(bytes));
}

/**
 * The same without a copy, in the memory of `bytes` (swapped in place on big-endian machines).
 *
 * @param bytes begins at a multiple of 4 in its buffer, as a new array does
 */
export function viewFloat32(bytes: Uint8Array): Float32Array {
  const length = bytes.length >>> 2;
  if (BIG_ENDIAN) Buffer.from(bytes.buffer, bytes.byteOffset, length * 4).swap32();
  return new Float32Array(bytes.buffer, bytes.byteOffset, length);
}

/** Numbers as little-endian float32 bytes; on little-endian machines a view of the same memory, not a copy. */
export function encodeFloat32(values: Float32Array): Uint8Array {
  if (!BIG_ENDIAN) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return Buffer.from(values.slice().buffer).swap32();
}

/**
 * Reads one vector as people send it: an array of numbers, base64 of little-endian float32 (standard or URL-safe
 * alphabet, padding optional), or float32 numbers, which are checked and returned as they are. The result is raw, not preprocessed.
 *
 * @throws invalid_vector the base64 cannot be read, or an element is not a number
 * @throws wrong_dimensions there are not exactly `dimensions` numbers
 * @throws not_finite a number is NaN, infinite, or beyond float32; or, euclidean, the norm is above 9e18
 * @throws zero_vector every number is 0 as float32 and the metric is cosine
 */
export function readVector(
  value: readonly number[] | string | Float32Array,
  dimensions: number,
  metric: Metric,
): Float32Array {
  const vector = typeof value === "string" ? fromBase64(value, dimensions) : fromNumbers(value, dimensions);
  checkVector(vector, metric);
  return vector;
}

/**
 * Checks that `vector` is finite and, under cosine, not zero.
 *
 * @throws not_finite, zero_vector as `readVector`
 */
export function checkVector(vector: Float32Array, metric: Metric): void {
  const squared = dot(vector, vector);
  if (!Number.isFinite(squared)) {
    const at = vector.findIndex((x) => !Number.isFinite(x));
    throw new AttuneError("not_finite", `number ${at} of the vector is ${vector[at]} as float32; send finite numbers`);
  }
  if (metric === "cosine" && squared === 0) {
    throw new AttuneError(
      "zero_vector",
      "every number of the vector is 0 as float32, and a zero vector has no direction under the cosine metric",
    );
  }
  if (metric === "euclidean" && squared > MAX_EUCLIDEAN_NORM * MAX_EUCLIDEAN_NORM) {
    throw new AttuneError(
      "not_finite",
      `the vector's norm is ${Math.sqrt(squared)}; above ${MAX_EUCLIDEAN_NORM} Euclidean distances overflow float32, scale the vectors down`,
    );
  }
}

function fromNumbers(numbers: readonly number[] | Float32Array, dimensions: number): Float32Array {
  // Checked before the memory is taken, so that a length sent by a stranger allocates nothing.
  if (numbers.length !== dimensions) throw wrongDimensions(numbers.length, dimensions);
  if (numbers instanceof Float32Array) return numbers;
  const vector = new Float32Array(dimensions);
  for (let i = 0; i < dimensions; i++) {
    const x = numbers[i];
    if (typeof x !== "number") {
      throw new AttuneError(
        "invalid_vector",
        `element ${i} of the vector is ${describe(x)}; every element is a number`,
      );
    }
    vector[i] = x;
  }
  return vector;
}

/**
 * The bytes of Base64 in the standard or the URL-safe alphabet, padding optional; undefined when the text is not that.
 *
 * @param allocate memory for them
 */
export function decodeBase64(
  text: string,
  allocate: (bytes: number) => Buffer = Buffer.allocUnsafe,
): Buffer | undefined {
  const unpadded = text.endsWith("==") ? text.length - 2 : text.endsWith("=") ? text.length - 1 : text.length;
  const bytes = allocate(Math.floor((unpadded * 3) / 4));
  // Node skips what is not base64, so a foreign character shows as missing bytes.
  return bytes.write(text, "base64") === bytes.length && unpadded % 4 !== 1 ? bytes : undefined;
}

function fromBase64(text: string, dimensions: number): Float32Array {
  const bytes = decodeBase64(text, (length) => {
    const { buffer, byteOffset } = smallBytes(length);
    return Buffer.from(buffer, byteOffset, length);
  });
  if (bytes === undefined) {
    throw new AttuneError(
      "invalid_vector",
      "the vector is a string, but not base64 (of little-endian float32 numbers)",
    );
  }
  if (bytes.length !== dimensions * 4) {
    throw new AttuneError(
      bytes.length % 4 === 0 ? "wrong_dimensions" : "invalid_vector",
      `the vector's base64 holds ${bytes.length} bytes; expected ${dimensions * 4} (${dimensions} x 4, little-endian float32)`,
    );
  }
  return viewFloat32(bytes);
}

function wrongDimensions(got: number, expected: number): AttuneError {
  return new AttuneError("wrong_dimensions", `the vector has ${got} dimensions; this collection's have ${expected}`);
}

function describe(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}
