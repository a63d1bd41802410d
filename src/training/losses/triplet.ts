import { compare, meanOver } from "./comparison.js";
import type { Loss, LossDefinition } from "./loss.js";

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
const tripletLoss: Loss = (ops, input, settings) => {
  const { toPositive, toCandidates, negatives } = compare(ops, input, settings);
  const violation = ops.relu(ops.add(ops.sub(toPositive, toCandidates), settings.margin));
  const terms = ops.mul(violation, negatives);
  return meanOver(ops, terms, ops.isPositive(terms));
};

export const triplet: LossDefinition = {
  name: "triplet",
  loss: tripletLoss,
  raw: false,
  defaults: { cosine: { margin: 0.2 }, euclidean: { margin: 0.2 } },
};
