import { dotAt, normaliseRows, squaredDistanceAt } from "./maths.js";

/** Names of the metrics a collection can be made with. */
export const METRICS = ["cosine", "euclidean"] as const;

export type Metric = (typeof METRICS)[number];

/**
 * What a metric means: how rows are prepared once, how prepared rows are compared, and how a distance becomes a
 * score. Nothing else in the project converts between distance (smaller is closer) and score (larger is closer).
 */
export interface MetricSpace {
  readonly name: Metric;
  /** The hnswlib space whose order over preprocessed rows is the order of this metric. */
  readonly hnswSpace: "ip" | "l2";
  /** Prepares raw rows (n x dimensions, flat) in place: cosine divides each by its L2 norm, euclidean does nothing. */
  preprocess(rows: Float32Array, dimensions: number): void;
  /** Distance of two preprocessed rows, at least 0: cosine 1 - cos, euclidean the L2 norm of the difference. */
  distance(a: Float32Array, b: Float32Array): number;
  /** The same for rows inside flat blocks, `dimensions` numbers from each offset. */
  distanceAt(a: Float32Array, aOffset: number, b: Float32Array, bOffset: number, dimensions: number): number;
  /** The distance for what hnswlib answers in `hnswSpace` (ip: 1 - dot; l2: the squared norm). */
  fromHnsw(value: number): number;
  /** The score people see: cosine 1 - distance (which is cos), euclidean 1 / (1 + distance). */
  score(distance: number): number;
}

const cosine: MetricSpace = {
  name: "cosine",
  hnswSpace: "ip",
  preprocess: normaliseRows,
  distance: (a, b) => cosine.distanceAt(a, 0, b, 0, a.length),
  // Rounding can take 1 - cos of two equal rows a hair below 0.
  distanceAt: (a, aOffset, b, bOffset, dimensions) => Math.max(0, 1 - dotAt(a, aOffset, b, bOffset, dimensions)),
  fromHnsw: (value) => Math.max(0, value),
  score: (distance) => 1 - distance,
};

const euclidean: MetricSpace = {
  name: "euclidean",
  hnswSpace: "l2",
  preprocess: () => {},
  distance: (a, b) => euclidean.distanceAt(a, 0, b, 0, a.length),
  distanceAt: (a, aOffset, b, bOffset, dimensions) => Math.sqrt(squaredDistanceAt(a, aOffset, b, bOffset, dimensions)),
  fromHnsw: (value) => Math.sqrt(Math.max(0, value)),
  score: (distance) => 1 / (1 + distance),
};

/** The space of a metric by its name. */
export function metricOf(name: Metric): MetricSpace {
  return name === "cosine" ? cosine : euclidean;
}
