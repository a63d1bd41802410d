import { compare, isAny, meanOver } from "./comparison.js";
import type { Loss, LossDefinition } from "./loss.js";

/**
 * Contrastive loss with margin: similar pairs shall coincide, dissimilar ones be at least the margin apart. Each pair is
 * judged for itself, without looking at what is nearer.
 *
 * loss = mean over i of d(anchor_i, positive_i)^2 / 2 + mean over the active (i, j) of max(0, margin - d(anchor_i,
 * candidate_j))^2 / 2, where i has a negative at all, and (i, j) is active when candidate j is a negative of anchor i within
 * the margin. Two means, because a batch holds far more dissimilar pairs than similar ones.
 *
 * Paper: Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, equation 4.
 */
const contrastiveLoss: Loss = (ops, input, settings) => {
  const { toPositive, toCandidates, negatives } = compare(ops, input, settings);
  const isValid = isAny(ops, negatives);
  const pull = meanOver(ops, ops.mul(ops.mul(toPositive, toPositive), isValid), isValid);
  const missing = ops.mul(ops.relu(ops.add(ops.mul(toCandidates, -1), settings.margin)), negatives);
  const push = meanOver(ops, ops.mul(missing, missing), ops.isPositive(missing));
  return ops.mul(ops.add(pull, push), 0.5);
};

export const contrastive: LossDefinition = {
  name: "contrastive",
  loss: contrastiveLoss,
  raw: false,
  defaults: { cosine: { margin: 0.8 }, euclidean: { margin: 1.2 } },
};
