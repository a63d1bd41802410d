import type { JsonObject } from "../files.js";

/** A directory with the files of an encoder. */
export interface EncoderFiles {
  /** Absolute. */
  root: string;
  /** See `Encoder.id`. */
  id: string;
  /** Content of config.json, or an empty object. */
  config: JsonObject;
}
