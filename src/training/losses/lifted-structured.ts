import { compare, isAny, meanOver, onlyWhere } from "./comparison.js";
import { pairwiseDistances } from "./distances.js";
import type { Loss, LossDefinition } from "./loss.js";

/**
 * Lifted structured loss: every similar pair is compared with all negatives of both its ends at once, through a smooth
 * maximum, which is the paper's smoothed mining of the hardest negative.
 *
 * loss = 1 / (2 n) sum over i of max(0, J_i)^2 with
 * J_i = d(anchor_i, positive_i) + t log(sum over j of exp((margin - d(anchor_i, candidate_j)) / t)
 *                                        + sum over j of exp((margin - d(positive_i, candidate_j)) / t)),
 * where j goes over the negatives of anchor i, i over the n anchors that have one, and the temperature t says how smooth
 * the maximum is: the paper has t = 1 for distances of up to several units; for smaller ones it has to be smaller.
 *
 * Paper: Oh Song, Xiang, Jegelka, Savarese, "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016, equation 4.
 */
const liftedStructuredLoss: Loss = (ops, input, settings) => {
  const { metric, margin, temperature } = settings;
  const { toPositive, toCandidates, negatives } = compare(ops, input, settings);
  const fromPositive = pairwiseDistances(ops, metric, input.positives, input.candidates);
  const smooth = (distances: typeof toCandidates) => {
    const violation = ops.div(ops.add(ops.mul(distances, -1), margin), temperature);
    return ops.logSumExpRows(onlyWhere(ops, negatives, violation));
  };
  const [ofAnchor, ofPositive] = [smooth(toCandidates), smooth(fromPositive)];
  // log(exp(a) + exp(b)) = a + softplus(b - a).
  const both = ops.add(ofAnchor, ops.softplus(ops.sub(ofPositive, ofAnchor)));
  const violated = ops.relu(ops.add(toPositive, ops.mul(both, temperature)));
  const isValid = isAny(ops, negatives);
  const terms = ops.mul(ops.mul(violated, violated), isValid);
  return ops.mul(meanOver(ops, terms, isValid), 0.5);
};

export const liftedStructured: LossDefinition = {
  name: "lifted-structured",
  loss: liftedStructuredLoss,
  raw: false,
  defaults: { cosine: { margin: 0.2, temperature: 0.1 }, euclidean: { margin: 0.2, temperature: 0.1 } },
};
