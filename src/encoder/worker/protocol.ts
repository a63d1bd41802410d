import { AttuneError, type ErrorCode } from "../../errors/index.js";
import type { ProviderChoice } from "../../runtime/index.js";
import type { Pooling } from "../encoder.js";

/** Everything the encoder's thread needs to open a model: plain data, made by a model source. */
export interface ModelDescription {
  /** See `Encoder.id`. */
  id: string;
  modelPath: string;
  tokenizer:
    | { kind: "use-lite"; vocabularyPath: string }
    | { kind: "hugging-face"; tokenizerPath: string; configPath: string };
  maxTokens: number;
  /** How to pool when the model gives one embedding for each token. */
  pooling: Exclude<Pooling, "model">;
  normalize: boolean;
  checksums: { weights: string; tokenizer: string };
}

/** `workerData` of the encoder's thread. */
export interface EncoderWorkerData {
  model: ModelDescription;
  provider: ProviderChoice;
  threads: number | undefined;
}

export type Priority = "query" | "bulk";

export type ToWorker =
  | { type: "encode"; id: number; texts: readonly string[]; priority: Priority }
  | { type: "cancel"; id: number }
  | { type: "close" };

export type FromWorker =
  | { type: "ready"; provider: string; dimensions: number; pooling: Pooling }
  | { type: "failed"; error: ErrorOnTheWire }
  | { type: "log"; message: string }
  | { type: "encoded"; id: number; vectors: Float32Array; truncated: number; tokens: number }
  | { type: "refused"; id: number; error: ErrorOnTheWire };

/** An error as it crosses threads, where classes are lost. */
export interface ErrorOnTheWire {
  code: ErrorCode;
  message: string;
}

/** What a failure of the model, or of the code around it, tells the person; refusals of ours pass as they are. */
export function toWire(error: unknown, context: string): ErrorOnTheWire {
  if (error instanceof AttuneError && error.code !== "invalid_model")
    return { code: error.code, message: error.message };
  return { code: "invalid_encoder", message: `${context}: ${error instanceof Error ? error.message : String(error)}` };
}

export function fromWire({ code, message }: ErrorOnTheWire): AttuneError {
  return new AttuneError(code, message);
}
