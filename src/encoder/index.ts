import "../runtime/telemetry.js";

export { defaultCacheDirectory } from "./cache-directory.js";
export type {
  EncodeOptions,
  EncodeResult,
  Encoder,
  EncoderIdentity,
  OpenEncoderOptions,
  Pooling,
  PreparationProgress,
} from "./encoder.js";
export { openEncoder } from "./open-encoder.js";
export { type PreparedModel, type PrepareOptions, prepareBuiltInModel } from "./use-lite/prepare.js";
export type { ModelDescription } from "./worker/protocol.js";
