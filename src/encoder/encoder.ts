import type { ProviderChoice } from "../runtime/index.js";

/** How the token embeddings of a text become one embedding; `model` means the ONNX graph pools by itself. */
export type Pooling = "mean" | "cls" | "last" | "max" | "model";

/** What makes two encoders interchangeable: equal identities give equal embeddings. Plain JSON, stored with a collection. */
export interface EncoderIdentity {
  /** SHA-256 (hex) of the weights. */
  weights: string;
  /** SHA-256 (hex) of the tokenizer's files. */
  tokenizer: string;
  pooling: Pooling;
  /** Whether embeddings are scaled to length 1. */
  normalize: boolean;
  /** Longest input in tokens, control tokens included; what lies beyond is cut off. */
  maxTokens: number;
  dimensions: number;
}

export interface EncodeOptions {
  /**
   * A `query` goes before every waiting `bulk` text.
   * @default "bulk"
   */
  priority?: "query" | "bulk";
  /** Gives up the texts that have not been encoded yet; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface EncodeResult {
  /** One row of `dimensions` float32 numbers for each text, in the order given. */
  vectors: Float32Array;
  /** How many of the texts were longer than `maxTokens` and were cut. */
  truncated: number;
  /** How many tokens the model saw, control tokens included. */
  tokens: number;
}

/** Turns texts into embeddings, in a thread of its own. */
export interface Encoder {
  /** A specification that opens this very encoder again; a Hugging Face revision is resolved to its commit. */
  readonly id: string;
  readonly identity: EncoderIdentity;
  readonly dimensions: number;
  readonly maxTokens: number;
  /** The ONNX Runtime execution provider in use, such as `cpu`. */
  readonly provider: string;
  /**
   * Encodes `texts`; concurrent calls are merged into batches.
   * @returns `texts.length` rows of `dimensions` numbers.
   * @throws shutting_down after `close()`; invalid_encoder when the model fails on these texts.
   */
  encode(texts: readonly string[], options?: EncodeOptions): Promise<EncodeResult>;
  /** Refuses what is still waiting, lets the running batch end, and frees the model. */
  close(): Promise<void>;
}

export interface OpenEncoderOptions {
  /** @default "auto" */
  provider?: ProviderChoice;
  /** Threads of the model on a CPU. @default all cores */
  threads?: number;
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
