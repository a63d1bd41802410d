import type { ModelDescription } from "../model-description.js";
import type { ModelInputs } from "./model-inputs.js";
import { TextInputs } from "./text-inputs.js";

/**
 * Opens what turns texts or images into the inputs of the described model.
 * @param names The inputs that the model declares; only these are fed. Without it a text model is fed every input that text encoders
 * have (input_ids, attention_mask, token_type_ids, position_ids), an image model pixel_values.
 * @throws invalid_encoder when the tokenizer cannot be used, or an input is unknown
 */
export async function openModelInputs(description: ModelDescription, names?: readonly string[]): Promise<ModelInputs> {
  if (description.modality === "text") return TextInputs.open(description, names);
  // Only now: where no images are read, the libraries that decode them are not loaded.
  const { ImageInputs } = await import("./image-inputs.js");
  return new ImageInputs(description, names);
}
