import type { Random } from "../../vector/index.js";

/**
 * A random matrix (rows, columns) of orthonormal rows, or of orthonormal columns where it has more rows: Gram-Schmidt on normally
 * distributed vectors. Multiplying by it keeps distances where it leads to more dimensions, and nearly keeps them, up to one factor,
 * where it leads to fewer (Johnson, Lindenstrauss 1984).
 */
export function randomOrthogonal(random: Random, rows: number, columns: number): Float32Array {
  const [count, length] = rows > columns ? [columns, rows] : [rows, columns];
  const basis: Float64Array[] = [];
  while (basis.length < count) {
    const vector = Float64Array.from({ length }, () => random.normal());
    for (const other of basis) subtract(vector, other, product(vector, other));
    const norm = Math.sqrt(product(vector, vector));
    basis.push(vector.map((value) => value / norm));
  }
  const data = new Float32Array(rows * columns);
  for (const [at, vector] of basis.entries()) {
    for (const [along, value] of vector.entries()) {
      data[rows > columns ? along * columns + at : at * columns + along] = value;
    }
  }
  return data;
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

function subtract(from: Float64Array, other: Float64Array, factor: number): void {
  for (let at = 0; at < from.length; at++) from[at] = (from[at] ?? 0) - factor * (other[at] ?? 0);
}
