import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { isFile, type JsonObject, readJsonObject } from "../files.js";
import type { ModelDescription } from "../model-description.js";
import { describeImageModel } from "./image-model.js";
import { isTimmConfig, LAYOUT_PATHS, type Layout, layoutOf } from "./layout.js";
import { describeTextModel } from "./text-model.js";

/**
 * Describes the ONNX encoder in a directory, laid out as on the Hugging Face hub:
 * - of texts: model.onnx, tokenizer.json, and where present tokenizer_config.json, config.json, and the configuration of
 *   sentence-transformers;
 * - of images: model.onnx or vision_model.onnx, and preprocessor_config.json or timm's config.json;
 * - of both, a CLIP pair: text_model.onnx and vision_model.onnx with all of these.
 *
 * The models may also lie in a folder onnx/.
 * @param id See `Encoder.id`. @default file: and the absolute path
 * @throws unknown_encoder when there is no such directory; invalid_encoder naming the file that is missing or unusable.
 */
export async function describeDirectory(directory: string, id?: string): Promise<ModelDescription> {
  const root = resolve(directory);
  if (!(await stat(root).catch(() => undefined))?.isDirectory()) {
    throw new AttuneError("unknown_encoder", `There is no directory ${root} with an encoder.`);
  }
  const config = (await readJsonObject(join(root, "config.json"))) ?? {};
  const files = { root, id: id ?? `file:${root}`, config };
  const layout = await layoutOfDirectory(root, config);
  if (layout.image === undefined) return describeTextModel(files, layout.text);
  const image = await describeImageModel(files, layout.image);
  if (layout.text === undefined) return image;
  const textTower = await describeTextModel(files, layout.text);
  // Only what the two towers are trained to bring together lies in one space, by angle.
  return {
    ...image,
    outputs: ["image_embeds", "pooler_output"],
    textTower: { ...textTower, outputs: ["text_embeds", "pooler_output"], normalize: true },
  };
}

async function layoutOfDirectory(root: string, config: JsonObject): Promise<Layout> {
  const paths = new Set<string>();
  for (const path of LAYOUT_PATHS) if (await isFile(join(root, path))) paths.add(path);
  return layoutOf(paths, root, isTimmConfig(config));
}
