import { defaultCacheDirectory } from "./cache-directory.js";
import type { Encoder, OpenEncoderOptions } from "./encoder.js";
import { parseEncoderSpec } from "./encoder-spec.js";
import { describeDirectory } from "./sources/directory-source.js";
import { fetchFromHub } from "./sources/hub-source.js";
import { describeUseLite } from "./use-lite/prepare.js";
import type { ModelDescription } from "./worker/protocol.js";
import { WorkerEncoder } from "./worker/worker-encoder.js";

/**
 * Opens the encoder that `spec` names: `use-lite` (built in), `file:DIRECTORY`, or `hf:ORGANISATION/REPOSITORY[@REVISION]`.
 * What must be built or fetched first is, and is kept in the cache directory.
 * @throws unknown_encoder when there is no such encoder; invalid_encoder when its files cannot be used, naming the file;
 * provider_unavailable when a forced provider cannot start.
 */
export async function openEncoder(spec: string, options: OpenEncoderOptions = {}): Promise<Encoder> {
  const { provider = "auto", threads, log = () => {} } = options;
  const model = await describeModel(spec, options);
  return WorkerEncoder.open(model, { provider, threads, log });
}

async function describeModel(spec: string, options: OpenEncoderOptions): Promise<ModelDescription> {
  const preparation = { ...options, cacheDirectory: options.cacheDirectory ?? defaultCacheDirectory() };
  const parsed = parseEncoderSpec(spec);
  if (parsed.kind === "built-in") return describeUseLite(preparation);
  if (parsed.kind === "file") return describeDirectory(parsed.directory);
  const { directory, id } = await fetchFromHub(parsed, preparation);
  return describeDirectory(directory, id);
}
