import { chooseNegatives, isAny, meanOver, onlyWhere } from "./comparison.js";
import { pairwiseProducts, pairwiseSquares, rowProducts, rowSquares } from "./distances.js";
import type { Loss, LossDefinition } from "./loss.js";

/** Weight of the mean squared length of anchors and positives, so that products do not grow without end. */
const LENGTH_PENALTY = 0.002;

/**
 * N-pair loss: as InfoNCE, but over inner products of rows that are not normalised, whose lengths are part of the loss: the paper finds
 * that normalising restricts too much, and penalises long rows instead.
 *
 * loss = mean over i of log(1 + sum over j of exp((s(anchor_i, candidate_j) - s(anchor_i, positive_i)) / t))
 *        + .002 mean over i of (|anchor_i|^2 + |positive_i|^2) / 2,
 * where j goes over the negatives of anchor i, i over the anchors that have one, and t is the temperature (1 in the paper). Under
 * cosine s(a, b) = a . b. Under Euclidean s(a, b) = -|a - b|^2 / 2, the product less half of both squared lengths, which holds
 * the lengths by itself, so there is no penalty.
 *
 * Paper: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016, equations 3 and 7.
 */
const nPairLoss: Loss = (ops, { anchors, positives, candidates, negatives }, settings) => {
  const { metric, temperature } = settings;
  const byLength = metric === "cosine";
  const toPositive = byLength
    ? ops.mul(rowProducts(ops, anchors, positives), -1)
    : ops.mul(rowSquares(ops, anchors, positives), 0.5);
  const toCandidates = byLength
    ? ops.mul(pairwiseProducts(ops, anchors, candidates), -1)
    : ops.mul(pairwiseSquares(ops, anchors, candidates), 0.5);
  const chosen = chooseNegatives(ops, { toPositive, toCandidates, negatives }, settings);
  const isValid = isAny(ops, negatives);
  const logits = ops.div(ops.sub(toPositive, toCandidates), temperature);
  const choice = meanOver(ops, ops.softplus(ops.logSumExpRows(onlyWhere(ops, chosen, logits))), isValid);
  if (!byLength) return choice;
  const squares = ops.add(rowProducts(ops, anchors, anchors), rowProducts(ops, positives, positives));
  const lengths = meanOver(ops, ops.mul(squares, isValid), isValid);
  return ops.add(choice, ops.mul(lengths, LENGTH_PENALTY / 2));
};

export const nPair: LossDefinition = {
  name: "n-pair",
  loss: nPairLoss,
  raw: true,
  defaults: { cosine: { temperature: 0.1 }, euclidean: { temperature: 0.1 } },
};
