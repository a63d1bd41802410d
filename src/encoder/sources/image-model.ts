import { join } from "node:path";
import { sha256 } from "../files.js";
import type { ImageModelDescription } from "../model-description.js";
import type { EncoderFiles } from "./encoder-files.js";
import { readImagePreprocessing } from "./image-processor.js";
import { checksumOfModel } from "./model-checksum.js";
import { readPooling } from "./sentence-transformers.js";

/** The finished embedding first. */
const OUTPUTS = ["image_embeds", "pooler_output", "last_hidden_state"];
/** Model types whose pooler is often an untrained layer of the exporter's; their first token is the embedding they are known by. */
const UNTRAINED_POOLER = new Set(["vit", "deit"]);
/** Model types without a class token in front of their patches. */
const NO_CLASS_TOKEN = new Set(["swin", "swinv2", "ijepa", "siglip", "siglip_vision_model"]);

/**
 * Describes an image model with its preprocessing. Patches are pooled as `1_Pooling/config.json` says; without that file the class
 * token is taken, and the mean where the model type has none. Embeddings are scaled to length 1.
 * @throws invalid_encoder naming the file that is missing or unusable
 */
export async function describeImageModel(
  { root, id, config }: EncoderFiles,
  path: string,
): Promise<ImageModelDescription> {
  const modelPath = join(root, path);
  const modelType = String(config.model_type);
  const preprocessing = await readImagePreprocessing(root, config);
  const stated = await readPooling(join(root, "1_Pooling", "config.json"));
  return {
    id,
    modality: "image",
    modelPath,
    outputs: UNTRAINED_POOLER.has(modelType) ? ["image_embeds", "last_hidden_state", "pooler_output"] : OUTPUTS,
    preprocessing,
    pooling: stated ?? (NO_CLASS_TOKEN.has(modelType) ? "mean" : "cls"),
    normalize: true,
    checksums: { weights: await checksumOfModel(modelPath), preprocessing: sha256(JSON.stringify(preprocessing)) },
  };
}
