/** Dot product of two vectors of the same length, accumulated in float64. */
export function dot(a: Float32Array, b: Float32Array): number {
  return dotAt(a, 0, b, 0, a.length);
}

/**
 * Dot product of `length` numbers of `a` from `aOffset` and of `b` from `bOffset`, accumulated in float64.
 * The offsets let a scan walk a block of rows without making a view for each row.
 */
export function dotAt(a: Float32Array, aOffset: number, b: Float32Array, bOffset: number, length: number): number {
  // Four independent sums: one alone would wait for its own last addition at every step.
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = length - (length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    const p = aOffset + i;
    const q = bOffset + i;
    s0 += (a[p] as number) * (b[q] as number);
    s1 += (a[p + 1] as number) * (b[q + 1] as number);
    s2 += (a[p + 2] as number) * (b[q + 2] as number);
    s3 += (a[p + 3] as number) * (b[q + 3] as number);
  }
  for (; i < length; i++) s0 += (a[aOffset + i] as number) * (b[bOffset + i] as number);
  return s0 + s1 + (s2 + s3);
}

/** Squared Euclidean distance of `length` numbers of `a` from `aOffset` and of `b` from `bOffset`, in float64. */
export function squaredDistanceAt(
  a: Float32Array,
  aOffset: number,
  b: Float32Array,
  bOffset: number,
  length: number,
): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = length - (length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    const p = aOffset + i;
    const q = bOffset + i;
    const d0 = (a[p] as number) - (b[q] as number);
    const d1 = (a[p + 1] as number) - (b[q + 1] as number);
    const d2 = (a[p + 2] as number) - (b[q + 2] as number);
    const d3 = (a[p + 3] as number) - (b[q + 3] as number);
    s0 += d0 * d0;
    s1 += d1 * d1;
    s2 += d2 * d2;
    s3 += d3 * d3;
  }
  for (; i < length; i++) {
    const d = (a[aOffset + i] as number) - (b[bOffset + i] as number);
    s0 += d * d;
  }
  return s0 + s1 + (s2 + s3);
}

/** Euclidean (L2) norm, accumulated in float64. */
export function norm(vector: Float32Array): number {
  return Math.sqrt(dot(vector, vector));
}

/** A squared norm this near to 1 is 1 within the rounding of a normalised float32 row. */
const UNIT_TOLERANCE = 2e-7;

/**
 * Divides each row of `rows` (n x dimensions, flat) by its L2 norm, in place; a zero row stays zero, and a row that is
 * of length 1 within float32 rounding stays as it is, bit for bit, so that normalising again changes nothing.
 */
export function normaliseRows(rows: Float32Array, dimensions: number): void {
  for (let start = 0; start < rows.length; start += dimensions) {
    const squared = dotAt(rows, start, rows, start, dimensions);
    if (squared === 0 || Math.abs(squared - 1) < UNIT_TOLERANCE) continue;
    const length = Math.sqrt(squared);
    for (let i = start; i < start + dimensions; i++) rows[i] = (rows[i] as number) / length;
  }
}

/** A copy of `vector` with L2 norm 1; the zero vector stays zero. */
export function normalise(vector: Float32Array): Float32Array {
  const copy = vector.slice();
  normaliseRows(copy, copy.length);
  return copy;
}

/** Whether no number is infinite or none. A plain loop: `every` calls a function for each of what may be a thousand million numbers. */
export function allFinite(numbers: Float32Array): boolean {
  let zero = 0;
  // Nothing but what is not finite gives anything else than 0.
  for (let i = 0; i < numbers.length; i++) zero += (numbers[i] as number) * 0;
  return zero === 0;
}
