import type { Random } from "../../src/vector/index.js";

/** Vectors whose class can be learnt: it stands in a few dimensions, under louder noise in all the others. */
export interface Learnable {
  dimensions: number;
  vectors: number[][];
  classes: number[];
}

export function learnable(
  random: Random,
  count: number,
  { classes = 20, dimensions = 24, signal = 8 } = {},
): Learnable {
  const centers = Array.from({ length: classes }, () => Array.from({ length: signal }, () => random.normal()));
  const assigned = Array.from({ length: count }, (_, i) => i % classes);
  const vectors = assigned.map((label) =>
    Array.from({ length: dimensions }, (_, d) =>
      d < signal ? (centers[label]?.[d] ?? 0) + 0.3 * random.normal() : 1.5 * random.normal(),
    ),
  );
  return { dimensions, vectors, classes: assigned };
}

/** True triplets: the positive has the anchor's class, the negative another. With `shuffled` the positive is just any item. */
export function triplets(random: Random, { classes }: Learnable, count: number, shuffled = false) {
  const any = () => random.integer(classes.length);
  const pick = (fits: (other: number) => boolean): number => {
    for (let other = any(); ; other = any()) if (fits(other)) return other;
  };
  return Array.from({ length: count }, () => {
    const anchor = any();
    const positive = pick((other) => other !== anchor && (shuffled || classes[other] === classes[anchor]));
    const negative = pick((other) => other !== positive && classes[other] !== classes[anchor]);
    return { anchor: itemId(anchor), positive: itemId(positive), negative: itemId(negative) };
  });
}

export function itemId(position: number): string {
  return `item-${position}`;
}

/** Share of the ten nearest that have the class of the query item, averaged. */
export function precision(classes: number[], results: { query: number; ids: string[] }[]): number {
  const shares = results.map(({ query, ids }) => {
    const right = ids.filter((id) => classes[Number(id.slice(5))] === classes[query]).length;
    return right / Math.max(1, ids.length);
  });
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}
