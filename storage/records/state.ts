import { parseJson, type RecordCodec, stringifyJson } from "./codec.js";

/** Small named JSON values, such as counters: stored as plain JSON; a change of their shape is a change of the format version. */
export const stateCodec: RecordCodec<unknown> = {
  encode: (value) => stringifyJson(value, "A state value"),
  decode: parseJson,
};
