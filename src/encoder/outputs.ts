import { AttuneError } from "../errors/index.js";
import type { ModelDescription } from "./model-description.js";

/**
 * The output of a model that holds the embedding.
 * @throws invalid_encoder when there is none among `names`
 */
export function chooseOutput(names: readonly string[], description: ModelDescription): string {
  const { outputs, modelPath, modality } = description;
  const known = outputs.find((name) => names.includes(name));
  const only = names.length === 1 ? names[0] : undefined;
  const chosen = known ?? (only !== undefined && mayBeEmbedding(only, modality) ? only : undefined);
  if (chosen !== undefined) return chosen;
  const advice =
    modality === "image" && names.includes("logits")
      ? " It is a classifier: export the model without its classification head (the task feature-extraction of optimum, num_classes=0 of timm)."
      : "";
  throw new AttuneError(
    "invalid_encoder",
    `${modelPath} is not a usable ${modality} encoder: its outputs are ${names.join(", ")}; expected one of ${outputs.join(", ")}.${advice}`,
  );
}

/** Scores of classes say little about images of other classes; hidden states, where they are not expected, lack a projection. */
function mayBeEmbedding(name: string, modality: ModelDescription["modality"]): boolean {
  return name !== "last_hidden_state" && !(modality === "image" && name === "logits");
}
