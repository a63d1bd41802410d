import { objectCodec, type RecordCodec } from "./codec.js";

/** A generation; its shape belongs to the collection. */
export type GenerationRecord = Record<string, unknown>;

export function generationCodec<V extends object>(): RecordCodec<V> {
  return objectCodec<V>("A generation", 1, () => undefined);
}
