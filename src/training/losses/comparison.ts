import type { TensorOperations } from "../engines/tensor-operations.js";
import { pairwiseDistances, rowDistances } from "./distances.js";
import type { LossInput, LossSettings } from "./loss.js";

/** Stands in for minus infinity where a candidate does not count; the exponential of it is 0. */
const FAR = 1e9;

/** Distances of a batch, and the negatives that count. */
export interface Comparison<T> {
  /** (n, 1). */
  toPositive: T;
  /** (n, m). */
  toCandidates: T;
  /** (n, m): 1 where the candidate counts as a negative. A constant to differentiation. */
  negatives: T;
}

/** Compares anchors with positives and candidates by the distance of the metric. */
export function compare<T>(ops: TensorOperations<T>, input: LossInput<T>, settings: LossSettings<T>): Comparison<T> {
  const { anchors, positives, candidates, negatives } = input;
  const toPositive = rowDistances(ops, settings.metric, anchors, positives);
  const toCandidates = pairwiseDistances(ops, settings.metric, anchors, candidates);
  return {
    toPositive,
    toCandidates,
    negatives: chooseNegatives(ops, { toPositive, toCandidates, negatives }, settings),
  };
}

/**
 * Which negatives an anchor is compared with: `all`; `hard`: its nearest (all of the nearest at a tie); `semi-hard`: those
 * farther than its positive, yet by less than the margin, and its nearest where there is none.
 *
 * Paper: Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015, section 3.2.
 */
export function chooseNegatives<T>(
  ops: TensorOperations<T>,
  { toPositive, toCandidates, negatives }: Comparison<T>,
  { batchNegatives, margin }: Pick<LossSettings<T>, "batchNegatives" | "margin">,
): T {
  if (batchNegatives === "all") return negatives;
  const closeness = onlyWhere(ops, negatives, ops.mul(toCandidates, -1));
  const isFarther = ops.isPositive(ops.sub(ops.maxRows(closeness), closeness));
  const hard = ops.sub(negatives, ops.mul(negatives, isFarther));
  if (batchNegatives === "hard") return hard;
  const beyond = ops.sub(toCandidates, toPositive);
  const withinMargin = ops.mul(ops.isPositive(beyond), ops.isPositive(ops.sub(margin, beyond)));
  const semiHard = ops.mul(negatives, withinMargin);
  const hasSemiHard = isAny(ops, semiHard);
  return ops.add(semiHard, ops.sub(hard, ops.mul(hard, hasSemiHard)));
}

/** Values where the mask is 1, and next to minus infinity where it is 0: for maxima and for sums of exponentials. */
export function onlyWhere<T>(ops: TensorOperations<T>, mask: T, values: T): T {
  return ops.add(values, ops.mul(ops.sub(mask, 1), FAR));
}

/** 1 for each row of a mask that holds a 1, else 0: (n, m) to (n, 1). */
export function isAny<T>(ops: TensorOperations<T>, mask: T): T {
  return ops.isPositive(ops.sumRows(mask));
}

/** Sum of terms over how many of them count, and 0 where none does. */
export function meanOver<T>(ops: TensorOperations<T>, terms: T, counting: T): T {
  return ops.div(ops.sum(terms), ops.atLeast(ops.sum(counting), 1));
}
