import { reasonOf, StorageError } from "../errors.js";

/** How the values of one table are written. Values are strings: Level hands them to JavaScript faster than buffers. */
export interface RecordCodec<V> {
  /** @throws invalid_record */
  encode(value: V): string;
  /** `key` is named in the error. @throws corrupt_record */
  decode(text: string, key: string): V;
}

/** A value handed in does not fit. */
export function invalidRecord(what: string, problem: string): StorageError {
  return new StorageError("invalid_record", `${what} cannot be stored: ${problem}.`);
}

/** A stored value does not decode. */
export function corruptRecord(key: string, problem: string): StorageError {
  return new StorageError(
    "corrupt_record",
    `The record under key ${JSON.stringify(key)} is damaged: ${problem}. Restore the data directory from a backup, or delete that record.`,
  );
}

/** JSON.parse that names the key. @throws corrupt_record */
export function parseJson(text: string, key: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw corruptRecord(key, `it is not JSON (${reasonOf(error)})`);
  }
}

/** JSON.stringify that refuses what JSON has no value for. @throws invalid_record */
export function stringifyJson(value: unknown, what: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw invalidRecord(what, reasonOf(error));
  }
  if (text === undefined) throw invalidRecord(what, `JSON has no value for ${typeof value}`);
  return text;
}

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A whole number from 0 to 2^53 - 1. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * A codec for JSON objects: stored as `[version, object]`, so that a later version can tell old records from new.
 * `problemOf` says what is wrong with an object, or nothing.
 */
export function objectCodec<V extends object>(
  what: string,
  version: number,
  problemOf: (value: Record<string, unknown>) => string | undefined,
): RecordCodec<V> {
  return {
    encode(value) {
      const problem = isJsonObject(value) ? problemOf(value) : "it is not an object";
      if (problem !== undefined) throw invalidRecord(what, problem);
      return `[${version},${stringifyJson(value, what)}]`;
    },
    decode(text, key) {
      const parsed = parseJson(text, key);
      if (!Array.isArray(parsed) || parsed.length !== 2) throw corruptRecord(key, "expected [version, object]");
      const [found, value] = parsed as [unknown, unknown];
      if (found !== version) throw corruptRecord(key, `expected version ${version}, found ${JSON.stringify(found)}`);
      const problem = isJsonObject(value) ? problemOf(value) : "expected an object";
      if (problem !== undefined) throw corruptRecord(key, problem);
      return value as V;
    },
  };
}
