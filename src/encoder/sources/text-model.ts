import { join } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { type JsonObject, readJsonObject, sha256 } from "../files.js";
import type { TextModelDescription } from "../model-description.js";
import type { EncoderFiles } from "./encoder-files.js";
import { checksumOfModel } from "./model-checksum.js";
import { readPoolingSettings } from "./sentence-transformers.js";

/** The finished embedding first: its pooling and further layers are the model author's own. */
const OUTPUTS = ["sentence_embedding", "last_hidden_state", "token_embeddings", "text_embeds", "pooler_output"];
/** Taken when no file says how long a text may be. */
const DEFAULT_MAX_TOKENS = 512;
/** Configurations write "no limit" as a huge number. */
const NO_LIMIT = 1_000_000;
/** Model types whose positions begin after the padding id, so that two of `max_position_embeddings` are never used. */
const OFFSET_POSITIONS = new Set(["roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "bertweet", "xmod"]);
/** Model types that have no padding mask and were trained on texts padded to the maximum. */
const PADDED_TO_MAXIMUM = new Set(["siglip", "siglip2"]);

/** Describes a text model with its tokenizer. @throws invalid_encoder naming the file that is missing or unusable */
export async function describeTextModel(
  { root, id, config }: EncoderFiles,
  path: string,
): Promise<TextModelDescription> {
  const modelPath = join(root, path);
  const tokenizerPath = join(root, "tokenizer.json");
  const configPath = join(root, "tokenizer_config.json");
  const tokenizer = await readJsonObject(tokenizerPath);
  if (tokenizer === undefined) throw new AttuneError("invalid_encoder", `${tokenizerPath} is missing.`);
  const tokenizerConfig = (await readJsonObject(configPath)) ?? {};
  return {
    id,
    modality: "text",
    modelPath,
    outputs: OUTPUTS,
    tokenizer: { kind: "hugging-face", tokenizerPath, configPath },
    maxTokens: await readMaxTokens(root, config, tokenizer, tokenizerConfig),
    ...(PADDED_TO_MAXIMUM.has(String(config.model_type)) && { padToMaximum: true }),
    ...(await readPoolingSettings(root)),
    checksums: {
      weights: await checksumOfModel(modelPath),
      tokenizer: sha256(JSON.stringify([tokenizer, tokenizerConfig])),
    },
  };
}

/** The smallest of the limits that the files state. */
async function readMaxTokens(
  root: string,
  config: JsonObject,
  tokenizer: JsonObject,
  tokenizerConfig: JsonObject,
): Promise<number> {
  const sentence = (await readJsonObject(join(root, "sentence_bert_config.json"))) ?? {};
  const truncation = (tokenizer.truncation ?? {}) as JsonObject;
  const ofTower = (config.text_config ?? {}) as JsonObject;
  const offset = OFFSET_POSITIONS.has(String(config.model_type)) ? 2 : 0;
  const positions = limit(config.max_position_embeddings);
  const limits = [
    limit(sentence.max_seq_length),
    limit(tokenizerConfig.model_max_length),
    limit(truncation.max_length),
    limit(ofTower.max_position_embeddings),
    positions === undefined ? undefined : positions - offset,
  ];
  const stated = limits.filter((each) => each !== undefined);
  return stated.length > 0 ? Math.min(...stated) : DEFAULT_MAX_TOKENS;
}

function limit(value: unknown): number | undefined {
  return typeof value === "number" && value >= 1 && value < NO_LIMIT ? Math.floor(value) : undefined;
}
