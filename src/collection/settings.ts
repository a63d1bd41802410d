import { isDeepStrictEqual } from "node:util";
import type { CollectionSettings, CreateCollection, PatchCollection } from "../../schemas/index.js";
import type { Encoder } from "../encoder/index.js";
import { AttuneError } from "../errors/index.js";
import { anOrA } from "./items/item-content.js";
import type { Limits } from "./limits.js";

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const INDEX_DEFAULTS = { m: 16, efConstruction: 200, efSearch: 64, shards: 1 };
/** What encodes where nothing else is asked for. */
const BUILT_IN_ENCODERS = { text: "use-lite", image: "patch-cnn" };

/** @throws validation_failed */
export function checkCollectionName(name: string): void {
  if (NAME.test(name)) return;
  throw new AttuneError(
    "validation_failed",
    `The collection name ${JSON.stringify(name.slice(0, 100))} is not allowed: 1 to 63 characters of a-z, 0-9, _ and -, starting with a letter or a digit.`,
    { details: [{ path: "/name", message: "must match ^[a-z0-9][a-z0-9_-]{0,62}$" }] },
  );
}

/** What was asked for, every default filled in; `dimensions` is the encoder's, where there is one, and comes later. */
export type RequestedSettings = Omit<CollectionSettings, "dimensions"> & { dimensions?: number };

/**
 * Fills in the defaults and refuses settings that cannot be.
 * @throws invalid_setting, too_many_dimensions
 */
export function requestSettings(given: CreateCollection, limits: Limits): RequestedSettings {
  if (given.modality === "vector") checkVectorSettings(given, limits);
  else if (given.dimensions !== undefined) {
    throw impossible(
      "dimensions",
      `dimensions is for vector collections; a ${given.modality} collection takes its encoder's.`,
    );
  }
  if (given.modality === "image" && given.prompts?.item !== undefined) {
    throw impossible(
      "prompts/item",
      "Items of an image collection are images; a prompt can stand before query texts alone.",
    );
  }
  const encoder = given.modality === "vector" ? undefined : (given.encoder ?? BUILT_IN_ENCODERS[given.modality]);
  return {
    modality: given.modality,
    ...(encoder === undefined ? {} : { encoder }),
    ...(given.prompts === undefined ? {} : { prompts: given.prompts }),
    ...(given.dimensions === undefined ? {} : { dimensions: given.dimensions }),
    metric: given.metric ?? "cosine",
    index: { ...INDEX_DEFAULTS, ...given.index },
    autoTune: given.autoTune ?? null,
    keepGenerations: given.keepGenerations ?? 3,
  };
}

/**
 * Refuses an encoder that does not fit the rest.
 * @throws invalid_setting
 */
export function checkEncoder({ modality, prompts }: RequestedSettings, encoder: Encoder): void {
  if (encoder.modality !== modality) {
    throw impossible(
      "encoder",
      `The encoder ${encoder.id} reads ${encoder.modality}s; ${anOrA(modality)} collection needs one that reads ${modality}s. Choose another encoder, or the modality "${encoder.modality}".`,
    );
  }
  if (prompts !== undefined && !encoder.accepts.text) {
    throw impossible(
      "prompts",
      `Prompts are put before texts, and the encoder ${encoder.id} reads none; leave them out.`,
    );
  }
}

function checkVectorSettings(given: CreateCollection, limits: Limits): void {
  if (given.dimensions === undefined) {
    throw impossible("dimensions", "A vector collection needs its dimensions, for example 512.");
  }
  if (given.dimensions > limits.dimensions) {
    throw new AttuneError(
      "too_many_dimensions",
      `dimensions is ${given.dimensions}; at most ${limits.dimensions} are allowed here.`,
      { details: [{ path: "/dimensions", message: `must be <= ${limits.dimensions}` }] },
    );
  }
  if (given.encoder !== undefined)
    throw impossible("encoder", "A vector collection has no encoder; leave encoder out.");
  if (given.prompts !== undefined)
    throw impossible("prompts", "Prompts are put before texts; a vector collection has none.");
}

function impossible(field: string, message: string): AttuneError {
  return new AttuneError("invalid_setting", message, { details: [{ path: `/${field}`, message }] });
}

/** Creation is idempotent: the same request again finds the same settings, whatever was patched since. */
export function sameSettings(stored: RequestedSettings, requested: RequestedSettings): boolean {
  return isDeepStrictEqual(readSettings(stored), requested);
}

/** Settings as a record has them: one of an older version knows nothing of shards. */
export function readSettings<T extends RequestedSettings>(stored: T): T {
  return { ...stored, index: { ...stored.index, shards: stored.index.shards ?? 1 } };
}

export function patchSettings(current: CollectionSettings, patch: PatchCollection): CollectionSettings {
  return {
    ...current,
    index: { ...current.index, ...patch.index },
    ...(patch.autoTune === undefined ? {} : { autoTune: patch.autoTune }),
    ...(patch.keepGenerations === undefined ? {} : { keepGenerations: patch.keepGenerations }),
  };
}
