import { AttuneError } from "../../errors/index.js";

/** Where exporters put a model: at the root, or in transformers.js's layout. */
const FOLDERS = ["", "onnx/"];
const MODEL = FOLDERS.map((folder) => `${folder}model.onnx`);
const VISION_TOWER = FOLDERS.map((folder) => `${folder}vision_model.onnx`);
const TEXT_TOWER = FOLDERS.map((folder) => `${folder}text_model.onnx`);
const TOKENIZER = "tokenizer.json";
const PREPROCESSOR = "preprocessor_config.json";

/** The models of an encoder's directory or repository, by what they read; with both, they put texts and images into one space. */
export type Layout = { text: string; image?: undefined } | { image: string; text?: string };

/**
 * Tells what an encoder is by the names of its files.
 * @param where The directory or repository, for messages.
 * @param timm Whether config.json is one of timm, which says how images are prepared.
 * @throws invalid_encoder naming the file that is missing
 */
export function layoutOf(paths: ReadonlySet<string>, where: string, timm: boolean): Layout {
  const find = (candidates: readonly string[]) => candidates.find((path) => paths.has(path));
  const [model, image, text] = [find(MODEL), find(VISION_TOWER), find(TEXT_TOWER)];
  const [readsTexts, readsImages] = [paths.has(TOKENIZER), paths.has(PREPROCESSOR) || timm];
  if (image !== undefined && text !== undefined) {
    if (readsTexts && readsImages) return { image, text };
    throw invalid(
      `${where} has no ${readsTexts ? PREPROCESSOR : TOKENIZER}, which a pair of text and vision models needs.`,
    );
  }
  if (image !== undefined && readsImages) return { image };
  if (text !== undefined && readsTexts) return { text };
  if (model === undefined) {
    throw invalid(`${where} has neither ${MODEL.join(" nor ")}, nor a ${VISION_TOWER[0]} beside a ${PREPROCESSOR}.`);
  }
  if (readsTexts && readsImages) {
    throw invalid(
      `${where} has one ${model} for texts and images, which would compute both for each. Export the two towers as ${FOLDERS[1]}text_model.onnx and ${FOLDERS[1]}vision_model.onnx.`,
    );
  }
  if (readsTexts) return { text: model };
  if (readsImages) return { image: model };
  throw invalid(
    `${where} has no ${TOKENIZER}, which a text encoder needs beside its model, and neither ${PREPROCESSOR} nor a config.json of timm, of which an image encoder needs one.`,
  );
}

/** Whether a config.json is one of timm. */
export function isTimmConfig(config: unknown): boolean {
  return typeof config === "object" && config !== null && ("pretrained_cfg" in config || "input_size" in config);
}

/** All paths that `layoutOf` asks for. */
export const LAYOUT_PATHS = [...MODEL, ...VISION_TOWER, ...TEXT_TOWER, TOKENIZER, PREPROCESSOR];

function invalid(message: string): AttuneError {
  return new AttuneError("invalid_encoder", message);
}
