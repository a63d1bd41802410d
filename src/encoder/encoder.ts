import type { ProviderChoice } from "../runtime/index.js";
import type { Modality } from "./model-description.js";

/** A text, or the bytes of an image file. */
export type EncoderInput = string | Uint8Array;

/** How the embeddings of tokens or patches become one embedding; `model` means the ONNX graph pools by itself. */
export type Pooling = "mean" | "cls" | "last" | "max" | "model";

/** What makes two encoders interchangeable: equal identities give equal embeddings. Plain JSON, stored with a collection. */
export interface EncoderIdentity {
  /** SHA-256 (hex) of the weights. */
  weights: string;
  /** SHA-256 (hex) of the weights that texts go through, where images have a model of their own. */
  textWeights?: string;
  /** SHA-256 (hex) of the tokenizer's files, where texts are read. */
  tokenizer?: string;
  /** SHA-256 (hex) of how images are resized and normalised, where images are read. */
  preprocessing?: string;
  pooling: Pooling;
  /** Whether embeddings are scaled to length 1. */
  normalize: boolean;
  /** Longest text in tokens, control tokens included; what lies beyond is cut off. There where texts are read. */
  maxTokens?: number;
  dimensions: number;
}

export interface EncodeOptions {
  /**
   * A `query` goes before every waiting `bulk` input.
   * @default "bulk"
   */
  priority?: "query" | "bulk";
  /** Gives up the inputs that have not been encoded yet; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface EncodeResult {
  /** One row of `dimensions` float32 numbers for each input, in the order given. */
  vectors: Float32Array;
  /** How many of the texts were longer than `maxTokens` and were cut. */
  truncated: number;
  /** How many tokens the model saw, control tokens included; an image has none. */
  tokens: number;
}

/** Turns texts, images or both into embeddings of one space, in a thread of its own. */
export interface Encoder {
  /** A specification that opens this very encoder again; a Hugging Face revision is resolved to its commit. */
  readonly id: string;
  readonly identity: EncoderIdentity;
  readonly dimensions: number;
  /** What it was made for: a CLIP pair is an image encoder that also accepts texts. */
  readonly modality: Modality;
  readonly accepts: { readonly text: boolean; readonly image: boolean };
  /** Longest text in tokens; 0 where no texts are read. */
  readonly maxTokens: number;
  /** The ONNX Runtime execution provider in use, such as `cpu`. */
  readonly provider: string;
  /**
   * Encodes `inputs`, texts and images mixed where both are accepted; concurrent calls are merged into batches.
   * @returns `inputs.length` rows of `dimensions` numbers.
   * @throws wrong_modality for a text or an image that is not accepted; invalid_image, image_too_large; invalid_encoder when the
   * model fails on these inputs; shutting_down after `close()`.
   */
  encode(inputs: readonly EncoderInput[], options?: EncodeOptions): Promise<EncodeResult>;
  /** Refuses what is still waiting, lets the running batch end, and frees the model. */
  close(): Promise<void>;
}

export interface OpenEncoderOptions {
  /** @default "auto" */
  provider?: ProviderChoice;
  /** Threads of the model on a CPU. @default all cores */
  threads?: number;
  /** Another ONNX file with the same inputs and outputs, such as a tuned copy, to be run in the place of the encoder's own. */
  model?: string;
  /** The largest image that is decoded, in pixels. @default 25 megapixels */
  maxPixels?: number;
  /** Where downloaded and built models are kept. @default defaultCacheDirectory() */
  cacheDirectory?: string;
  /** Receives lines for people, such as a fall back to the CPU. */
  log?: (message: string) => void;
  /** Stops the preparation (a download, a build). */
  signal?: AbortSignal;
  onProgress?: (progress: PreparationProgress) => void;
}

/** Progress of a download or a build; `total` is 0 while unknown. */
export interface PreparationProgress {
  /** What is being prepared, for people. */
  what: string;
  done: number;
  total: number;
  unit: "bytes" | "steps";
}
