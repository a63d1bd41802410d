import { normaliseRows, Random } from "../../src/vector/index.js";

/** Directions in which the members of a cluster differ; embeddings of real things fill few of their dimensions. */
const INNER_DIMENSIONS = 24;
const NOISE = 0.05;

/** Rows of length 1, flat. */
export interface ClusteredVectors {
  rows: Float32Array;
  queries: Float32Array;
}

/**
 * Seeded vectors around `clusters` centres. The members of a cluster differ along 24 shared random directions and by a
 * little noise in all, so that, as with embeddings and unlike with pure noise, near neighbours exist.
 */
export function clusteredVectors(
  seed: number,
  count: number,
  queries: number,
  dimensions: number,
  clusters = Math.ceil(Math.sqrt(count)),
): ClusteredVectors {
  const random = new Random(seed);
  const normals = () => Float32Array.from({ length: dimensions }, () => random.normal());
  const centres = Array.from({ length: clusters }, normals);
  const directions = Array.from({ length: INNER_DIMENSIONS }, normals);
  const fill = (n: number) => {
    const rows = new Float32Array(n * dimensions);
    for (let start = 0; start < rows.length; start += dimensions) {
      const row = rows.subarray(start, start + dimensions);
      row.set(centres[random.integer(clusters)] as Float32Array);
      for (const direction of directions) {
        const step = random.normal() * 0.3;
        for (let i = 0; i < dimensions; i++) row[i] = (row[i] as number) + step * (direction[i] as number);
      }
      for (let i = 0; i < dimensions; i++) row[i] = (row[i] as number) + NOISE * random.normal();
    }
    normaliseRows(rows, dimensions);
    return rows;
  };
  return { rows: fill(count), queries: fill(queries) };
}

/** Flat rows as one view each. */
export function rowsOf(flat: Float32Array, dimensions: number): Float32Array[] {
  return Array.from({ length: flat.length / dimensions }, (_, i) =>
    flat.subarray(i * dimensions, (i + 1) * dimensions),
  );
}
