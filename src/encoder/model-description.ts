import type { Pooling } from "./encoder.js";
import type { ImagePreprocessing } from "./inputs/image-preprocessing.js";

export type Modality = "text" | "image";

interface CommonDescription {
  /** See `Encoder.id`. */
  id: string;
  modelPath: string;
  /** Outputs that may hold the embedding, the best first; a model's only output is taken under most other names too. */
  outputs: readonly string[];
  /** How to pool when the model gives one embedding for each token, or for each patch of an image. */
  pooling: Exclude<Pooling, "model">;
  normalize: boolean;
  /** AdamW's rate by which all of its weights are best trained, where that is known. */
  learningRate?: number;
}

/** An ONNX model that reads token ids. */
export interface TextModelDescription extends CommonDescription {
  modality: "text";
  tokenizer:
    | { kind: "use-lite"; vocabularyPath: string }
    | { kind: "hugging-face"; tokenizerPath: string; configPath: string };
  maxTokens: number;
  /** Whether every text is padded to `maxTokens`, as models without a padding mask were trained. @default false */
  padToMaximum?: boolean;
  checksums: { weights: string; tokenizer: string };
}

/** An ONNX model that reads pixels, and where texts lie in the same space the model that puts them there. */
export interface ImageModelDescription extends CommonDescription {
  modality: "image";
  preprocessing: ImagePreprocessing;
  /** The largest image that is decoded, in pixels. @default 25 megapixels */
  maxPixels?: number;
  textTower?: TextModelDescription;
  checksums: { weights: string; preprocessing: string };
}

/** All that is needed to open a model and to prepare its inputs: plain JSON, made by a model source. */
export type ModelDescription = TextModelDescription | ImageModelDescription;
