import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { isFile, type JsonObject, readJsonObject, sha256 } from "../files.js";
import type { ModelDescription } from "../model-description.js";
import { checksumOfModel } from "./model-checksum.js";
import { readPoolingSettings } from "./sentence-transformers.js";

/** Where exporters put the model: at the root, or in transformers.js's layout. */
export const MODEL_PATHS = ["model.onnx", "onnx/model.onnx"];
/** The finished embedding first: its pooling and further layers are the model author's own. */
const TEXT_OUTPUTS = ["sentence_embedding", "last_hidden_state", "token_embeddings", "text_embeds", "pooler_output"];
/** Taken when no file says how long a text may be. */
const DEFAULT_MAX_TOKENS = 512;
/** Configurations write "no limit" as a huge number. */
const NO_LIMIT = 1_000_000;
/** Model types whose positions begin after the padding id, so that two of `max_position_embeddings` are never used. */
const OFFSET_POSITIONS = new Set(["roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "bertweet", "xmod"]);

/**
 * Describes the ONNX text encoder in a directory: model.onnx (or onnx/model.onnx), tokenizer.json, and where present
 * tokenizer_config.json, config.json, and the configuration of sentence-transformers.
 * @param id See `Encoder.id`. @default file: and the absolute path
 * @throws unknown_encoder when there is no such directory; invalid_encoder naming the file that is missing or unusable.
 */
export async function describeDirectory(directory: string, id?: string): Promise<ModelDescription> {
  const root = resolve(directory);
  if (!(await stat(root).catch(() => undefined))?.isDirectory()) {
    throw new AttuneError("unknown_encoder", `There is no directory ${root} with an encoder.`);
  }
  const modelPath = await findModel(root);
  const tokenizerPath = join(root, "tokenizer.json");
  const configPath = join(root, "tokenizer_config.json");
  const tokenizer = await readJsonObject(tokenizerPath);
  if (tokenizer === undefined) {
    throw new AttuneError("invalid_encoder", `${root} has no tokenizer.json, which an encoder needs beside its model.`);
  }
  const tokenizerConfig = (await readJsonObject(configPath)) ?? {};
  return {
    id: id ?? `file:${root}`,
    modality: "text",
    modelPath,
    outputs: TEXT_OUTPUTS,
    tokenizer: { kind: "hugging-face", tokenizerPath, configPath },
    maxTokens: await readMaxTokens(root, tokenizer, tokenizerConfig),
    ...(await readPoolingSettings(root)),
    checksums: {
      weights: await checksumOfModel(modelPath),
      tokenizer: sha256(JSON.stringify([tokenizer, tokenizerConfig])),
    },
  };
}

async function findModel(root: string): Promise<string> {
  for (const path of MODEL_PATHS) {
    if (await isFile(join(root, path))) return join(root, path);
  }
  throw new AttuneError("invalid_encoder", `${root} has neither ${MODEL_PATHS.join(" nor ")}.`);
}

/** The smallest of the limits that the files state. */
async function readMaxTokens(root: string, tokenizer: JsonObject, tokenizerConfig: JsonObject): Promise<number> {
  const model = (await readJsonObject(join(root, "config.json"))) ?? {};
  const sentence = (await readJsonObject(join(root, "sentence_bert_config.json"))) ?? {};
  const truncation = (tokenizer.truncation ?? {}) as JsonObject;
  const offset = OFFSET_POSITIONS.has(String(model.model_type)) ? 2 : 0;
  const positions = limit(model.max_position_embeddings);
  const limits = [
    limit(sentence.max_seq_length),
    limit(tokenizerConfig.model_max_length),
    limit(truncation.max_length),
    positions === undefined ? undefined : positions - offset,
  ];
  const stated = limits.filter((each) => each !== undefined);
  return stated.length > 0 ? Math.min(...stated) : DEFAULT_MAX_TOKENS;
}

function limit(value: unknown): number | undefined {
  return typeof value === "number" && value >= 1 && value < NO_LIMIT ? Math.floor(value) : undefined;
}
