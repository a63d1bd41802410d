import { normaliseRows, Random } from "../../src/vector/index.js";
import { clusteredVectors } from "./clustered-vectors.js";

/** How loud an item's class is beside the cluster in which it lies; the clusters say nothing about the class. */
const LOUDNESS = 0.35;

/** Clustered vectors of length 1 that also belong to classes, which a head can learn to hear. */
export interface LearnableVectors {
  /** Flat. */
  rows: Float32Array;
  classOfRow: Int32Array;
  queries: Float32Array;
  classOfQuery: Int32Array;
}

export function learnableVectors(
  seed: number,
  count: number,
  queries: number,
  dimensions: number,
  classes = 20,
): LearnableVectors {
  const random = new Random(seed + 1);
  const centres = new Float32Array(classes * dimensions).map(() => random.normal());
  normaliseRows(centres, dimensions);
  const clustered = clusteredVectors(seed, count, queries, dimensions);
  const classify = (rows: Float32Array) => {
    const assigned = new Int32Array(rows.length / dimensions).map(() => random.integer(classes));
    for (const [i, label] of assigned.entries()) {
      for (let d = 0; d < dimensions; d++) {
        const at = i * dimensions + d;
        rows[at] = (rows[at] ?? 0) + LOUDNESS * (centres[label * dimensions + d] ?? 0);
      }
    }
    normaliseRows(rows, dimensions);
    return assigned;
  };
  const [classOfRow, classOfQuery] = [classify(clustered.rows), classify(clustered.queries)];
  return { ...clustered, classOfRow, classOfQuery };
}

/** Triplets of random rows: the positive has the anchor's class, the negative another. */
export function classTriplets(
  random: Random,
  classes: Int32Array,
  count: number,
): { anchor: number; positive: number; negative: number }[] {
  const pick = (fits: (i: number) => boolean): number => {
    for (;;) {
      const i = random.integer(classes.length);
      if (fits(i)) return i;
    }
  };
  return Array.from({ length: count }, () => {
    const anchor = random.integer(classes.length);
    const positive = pick((i) => i !== anchor && classes[i] === classes[anchor]);
    const negative = pick((i) => classes[i] !== classes[anchor]);
    return { anchor, positive, negative };
  });
}
