import { defaultCacheDirectory } from "./cache-directory.js";
import type { Encoder, OpenEncoderOptions } from "./encoder.js";
import { parseEncoderSpec } from "./encoder-spec.js";
import type { ModelDescription } from "./model-description.js";
import { describePatchCnn } from "./patch-cnn/prepare.js";
import { describeDirectory } from "./sources/directory-source.js";
import { fetchFromHub } from "./sources/hub-source.js";
import { checksumOfModel } from "./sources/model-checksum.js";
import { describeUseLite } from "./use-lite/prepare.js";
import { WorkerEncoder } from "./worker/worker-encoder.js";

export type DescribeEncoderOptions = Omit<OpenEncoderOptions, "provider" | "threads">;

/**
 * Opens the encoder that `spec` names: `use-lite` or `patch-cnn` (built in: texts, images), `file:DIRECTORY`, or `hf:ORGANISATION/REPOSITORY[@REVISION]`.
 * What must be built or fetched first is, and is kept in the cache directory.
 * @throws unknown_encoder when there is no such encoder; invalid_encoder when its files cannot be used, naming the file;
 * provider_unavailable when a forced provider cannot start.
 */
export async function openEncoder(spec: string, options: OpenEncoderOptions = {}): Promise<Encoder> {
  const { provider = "auto", threads, log = () => {} } = options;
  const model = await describeEncoder(spec, options);
  return WorkerEncoder.open(model, { provider, threads, log });
}

/**
 * What `openEncoder` does before opening: builds or fetches the files, and says what they are.
 * @throws unknown_encoder, invalid_encoder
 */
export async function describeEncoder(spec: string, options: DescribeEncoderOptions = {}): Promise<ModelDescription> {
  const description = withMaxPixels(await describe(spec, options), options.maxPixels);
  if (options.model === undefined) return description;
  const weights = await checksumOfModel(options.model);
  return withModel(description, options.model, weights);
}

async function describe(spec: string, options: DescribeEncoderOptions): Promise<ModelDescription> {
  const preparation = { ...options, cacheDirectory: options.cacheDirectory ?? defaultCacheDirectory() };
  const parsed = parseEncoderSpec(spec);
  if (parsed.kind === "built-in") {
    return parsed.name === "use-lite" ? describeUseLite(preparation) : describePatchCnn(preparation);
  }
  if (parsed.kind === "file") return describeDirectory(parsed.directory);
  const { directory, id } = await fetchFromHub(parsed, preparation);
  return describeDirectory(directory, id);
}

/** The same encoder with a limit of its images. */
function withMaxPixels(description: ModelDescription, maxPixels: number | undefined): ModelDescription {
  return description.modality === "image" && maxPixels !== undefined ? { ...description, maxPixels } : description;
}

/** The same encoder with other weights. */
function withModel(description: ModelDescription, modelPath: string, weights: string): ModelDescription {
  if (description.modality === "text") {
    return { ...description, modelPath, checksums: { ...description.checksums, weights } };
  }
  return { ...description, modelPath, checksums: { ...description.checksums, weights } };
}
