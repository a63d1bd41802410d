import "../runtime/telemetry.js";

export type { PreparedModel, PrepareOptions } from "./built-model.js";
export { defaultCacheDirectory } from "./cache-directory.js";
export { embeddingGraph } from "./embedding-graph.js";
export type {
  EncodeOptions,
  EncodeResult,
  Encoder,
  EncoderIdentity,
  EncoderInput,
  OpenEncoderOptions,
  Pooling,
  PreparationProgress,
} from "./encoder.js";
export type { ImagePreprocessing, PerChannel } from "./inputs/image-preprocessing.js";
export type { ModelInputs, PreparedImage, PreparedInput, PreparedText } from "./inputs/model-inputs.js";
export { openModelInputs } from "./inputs/open-model-inputs.js";
export type {
  ImageModelDescription,
  Modality,
  ModelDescription,
  TextModelDescription,
} from "./model-description.js";
export { type DescribeEncoderOptions, describeEncoder, openEncoder } from "./open-encoder.js";
export { chooseOutput } from "./outputs.js";
export { prepareBuiltInModels } from "./prepare-built-in-models.js";
