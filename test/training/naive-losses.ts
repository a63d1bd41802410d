import type { LossName } from "../../src/training/index.js";
import type { Metric } from "../../src/vector/metric.js";

/** A batch as plain numbers: rows, and positions and negatives among them. */
export interface NaiveBatch {
  rows: number[][];
  anchors: number[];
  positives: number[];
  negatives: number[][];
}

export interface NaiveSettings {
  metric: Metric;
  margin: number;
  temperature: number;
  batchNegatives: "all" | "hard" | "semi-hard";
}

const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const squared = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
const mean = (values: number[]) => (values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length);
const total = (values: number[]) => values.reduce((a, b) => a + b, 0);

export function naiveDistance(metric: Metric, a: number[], b: number[]): number {
  if (metric === "euclidean") return Math.sqrt(squared(a, b));
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return 1 - (lengths === 0 ? 0 : dot(a, b) / lengths);
}

/** Positions of the negatives of an anchor that count, by the distances to them. */
export function naiveNegatives(
  line: number[],
  distances: number[],
  toPositive: number,
  { batchNegatives, margin }: NaiveSettings,
): number[] {
  const valid = line.flatMap((value, j) => (value === 1 ? [j] : []));
  if (batchNegatives === "all") return valid;
  const nearest = Math.min(...valid.map((j) => distances[j]!));
  const hard = valid.filter((j) => distances[j] === nearest);
  if (batchNegatives === "hard") return hard;
  const semiHard = valid.filter((j) => distances[j]! > toPositive && distances[j]! < toPositive + margin);
  return semiHard.length > 0 ? semiHard : hard;
}

/** The losses by plain loops in float64, from their papers. */
export function naiveLoss(name: LossName, batch: NaiveBatch, settings: NaiveSettings): number {
  const { rows, anchors, positives, negatives } = batch;
  const { metric, margin, temperature: t } = settings;
  // What an n-pair loss compares is no distance: an inner product, or half a squared distance.
  const between = (a: number, b: number): number => {
    if (name !== "n-pair") return naiveDistance(metric, rows[a]!, rows[b]!);
    return metric === "cosine" ? -dot(rows[a]!, rows[b]!) : squared(rows[a]!, rows[b]!) / 2;
  };
  const lines = anchors.flatMap((anchor, i) => {
    const positive = positives[i]!;
    const toPositive = between(anchor, positive);
    const distances = rows.map((_, j) => between(anchor, j));
    const chosen = naiveNegatives(negatives[i]!, distances, toPositive, settings);
    return chosen.length === 0 ? [] : [{ anchor, positive, toPositive, chosen }];
  });
  switch (name) {
    case "triplet": {
      const terms = lines.flatMap(({ anchor, toPositive, chosen }) =>
        chosen.map((j) => toPositive - between(anchor, j) + margin),
      );
      return mean(terms.filter((term) => term > 0));
    }
    case "contrastive": {
      const missing = lines.flatMap(({ anchor, chosen }) => chosen.map((j) => margin - between(anchor, j)));
      const push = mean(missing.filter((value) => value > 0).map((value) => value ** 2));
      return (mean(lines.map(({ toPositive }) => toPositive ** 2)) + push) / 2;
    }
    case "lifted-structured":
      return mean(
        lines.map(({ anchor, positive, toPositive, chosen }) => {
          const ofAnchor = total(chosen.map((j) => Math.exp((margin - between(anchor, j)) / t)));
          const ofPositive = total(chosen.map((j) => Math.exp((margin - between(positive, j)) / t)));
          return Math.max(0, toPositive + t * Math.log(ofAnchor + ofPositive)) ** 2 / 2;
        }),
      );
    case "info-nce":
      return mean(
        lines.map(({ anchor, toPositive, chosen }) => {
          const own = Math.exp(-toPositive / t);
          return -Math.log(own / (own + total(chosen.map((j) => Math.exp(-between(anchor, j) / t)))));
        }),
      );
    case "n-pair": {
      const choice = mean(
        lines.map(({ anchor, toPositive, chosen }) =>
          Math.log(1 + total(chosen.map((j) => Math.exp((toPositive - between(anchor, j)) / t)))),
        ),
      );
      if (metric === "euclidean") return choice;
      const squares = lines.map(
        ({ anchor, positive }) => (dot(rows[anchor]!, rows[anchor]!) + dot(rows[positive]!, rows[positive]!)) / 2,
      );
      return choice + 0.002 * mean(squares);
    }
  }
}
