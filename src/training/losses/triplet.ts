import { pairwiseDistances, prepareRows, rowDistances } from "./distances.js";
import type { Loss } from "./loss.js";

/**
 * Triplet loss with margin over every valid triplet of a batch: the anchor's positive shall be closer than each of its
 * negatives by at least the margin.
 *
 * loss = mean over the active (i, j) of max(0, d(anchor_i, positive_i) - d(anchor_i, candidate_j) + margin), where (i, j)
 * is valid when candidate j is a negative of anchor i, and active when its term is above 0. The mean is over active
 * terms, so the many triplets already in order do not drown the few that are not.
 *
 * Paper: Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015; the mean over active terms: Hermans, Beyer, Leibe 2017.
 */
export const tripletLoss: Loss = (ops, { anchors, positives, candidates, negatives }, { metric, margin }) => {
  const from = prepareRows(ops, metric, anchors);
  const toPositive = rowDistances(ops, metric, from, prepareRows(ops, metric, positives));
  const toCandidates = pairwiseDistances(ops, metric, from, prepareRows(ops, metric, candidates));
  const violation = ops.relu(ops.add(ops.sub(toPositive, toCandidates), margin));
  const terms = ops.mul(violation, negatives);
  const active = ops.sum(ops.isPositive(terms));
  return ops.div(ops.sum(terms), ops.atLeast(active, 1));
};
