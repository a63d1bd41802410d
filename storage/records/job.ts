import { objectCodec, type RecordCodec } from "./codec.js";

/** A fine-tune or activation job; its shape belongs to the collection. */
export type JobRecord = Record<string, unknown>;

export function jobCodec<V extends object>(): RecordCodec<V> {
  return objectCodec<V>("A job", 1, () => undefined);
}
