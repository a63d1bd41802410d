import { AttuneError, type ErrorCode } from "../../errors/index.js";
import type { ProviderChoice } from "../../runtime/index.js";
import type { EncoderInput, Pooling } from "../encoder.js";
import type { ModelDescription } from "../model-description.js";

/** `workerData` of the encoder's thread. */
export interface EncoderWorkerData {
  model: ModelDescription;
  provider: ProviderChoice;
  threads: number | undefined;
}

export type Priority = "query" | "bulk";

export type ToWorker =
  | { type: "encode"; id: number; inputs: readonly EncoderInput[]; priority: Priority }
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
