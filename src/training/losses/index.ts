import type { LossName } from "../task/options.js";
import { contrastive } from "./contrastive.js";
import { infoNce } from "./info-nce.js";
import { liftedStructured } from "./lifted-structured.js";
import type { LossDefinition } from "./loss.js";
import { nPair } from "./n-pair.js";
import { triplet } from "./triplet.js";

export { batchLoss, type EmbeddedBatch } from "./batch-loss.js";
export type { Loss, LossDefaults, LossDefinition, LossInput, LossSettings } from "./loss.js";

/** Every loss by its name. */
export const LOSSES: Readonly<Record<LossName, LossDefinition>> = {
  triplet,
  contrastive,
  "lifted-structured": liftedStructured,
  "n-pair": nPair,
  "info-nce": infoNce,
};
