import { compare, isAny, meanOver, onlyWhere } from "./comparison.js";
import type { Loss, LossDefinition } from "./loss.js";

/**
 * InfoNCE: picks the positive out of itself and all negatives, by softmax over similarities; the cross-entropy of that choice.
 *
 * loss = mean over i of -log(exp(-d(anchor_i, positive_i) / t) / (exp(-d(anchor_i, positive_i) / t) + sum over j of
 * exp(-d(anchor_i, candidate_j) / t))), where j goes over the negatives of anchor i, i over the anchors that have one, and t is the
 * temperature. Under cosine -d is the cosine but for a constant, which a softmax does not see.
 *
 * Paper: van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, equation 4; over
 * cosines with a temperature: Chen, Kornblith, Norouzi, Hinton, "SimCLR", ICML 2020.
 */
const infoNceLoss: Loss = (ops, input, settings) => {
  const { toPositive, toCandidates, negatives } = compare(ops, input, settings);
  const logits = ops.div(ops.sub(toPositive, toCandidates), settings.temperature);
  // -log(e^p / (e^p + sum of e^n)) = log(1 + sum of e^(n - p)).
  const terms = ops.softplus(ops.logSumExpRows(onlyWhere(ops, negatives, logits)));
  return meanOver(ops, terms, isAny(ops, negatives));
};

export const infoNce: LossDefinition = {
  name: "info-nce",
  loss: infoNceLoss,
  raw: false,
  defaults: { cosine: { temperature: 0.1 }, euclidean: { temperature: 0.1 } },
};
