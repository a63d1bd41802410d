import { isCount, isJsonObject, objectCodec } from "./codec.js";

/** One collection; its key is its name. `settings`, `current` and `encoder` are JSON objects that storage does not look into. */
export interface CollectionRecord {
  /** Names its keys and its directory; never used again after a delete. */
  uid: string;
  name: string;
  /** ISO 8601. */
  createdAt: string;
  /** As created. */
  settings: object;
  /** After later changes. */
  current: object;
  /** Identity of the encoder; none in a collection of plain vectors. */
  encoder?: object;
  dimensions: number;
  activeGeneration: number;
  nextGeneration: number;
  nextJob: number;
}

const STRINGS = ["uid", "name", "createdAt"] as const;
const OBJECTS = ["settings", "current"] as const;
const COUNTS = ["dimensions", "activeGeneration", "nextGeneration", "nextJob"] as const;

export const collectionCodec = objectCodec<CollectionRecord>("A collection", 1, (value) => {
  for (const name of STRINGS) if (typeof value[name] !== "string") return `${name} is not a string`;
  for (const name of OBJECTS) if (!isJsonObject(value[name])) return `${name} is not an object`;
  for (const name of COUNTS) if (!isCount(value[name])) return `${name} is not a whole number from 0`;
  if (value.encoder !== undefined && !isJsonObject(value.encoder)) return "encoder is not an object";
  return value.dimensions === 0 ? "dimensions is 0" : undefined;
});
