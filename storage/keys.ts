import { StorageError } from "./errors.js";

/**
 * Every key in Level is a string, stored as UTF-8, so that keys order by UTF-8 bytes:
 *
 *     meta/format                       the format version
 *     collections/<name>                a collection
 *     c/<uid>/<table letter>/<key>      everything a collection owns
 *
 * A uid has no slash and the free part (`<key>`) always comes last, so no id, whatever its characters, can reach another
 * table or collection; and since `0` is the character after `/`, a range is `[prefix/, prefix0)`.
 */
export const FORMAT_KEY = "meta/format";
export const COLLECTIONS_PREFIX = "collections/";
export const COLLECTION_DATA_PREFIX = "c/";

/** How the keys of one table are written after its prefix. */
export interface KeyCodec<K> {
  /** @throws invalid_key */
  encode(key: K): string;
  decode(text: string): K;
}

/** The first key after all those that begin with `prefix`, which ends in a slash. */
export function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

const UID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** A uid is 1 to 64 lower-case letters, digits, `_` and `-`: it names a directory too, also where file names ignore case. */
export function isUid(uid: string): boolean {
  return UID.test(uid);
}

/** The uid again when it is one. @throws invalid_key */
export function checkUid(uid: string): string {
  if (isUid(uid)) return uid;
  throw new StorageError(
    "invalid_key",
    `Collection uid ${JSON.stringify(uid)} is not of the form ${UID.source}: use lower-case letters, digits, "_" and "-".`,
  );
}

/** The prefix of everything that one collection owns. @throws invalid_key */
export function collectionPrefix(uid: string): string {
  return `${COLLECTION_DATA_PREFIX}${checkUid(uid)}/`;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
const MAX_TEXT_KEY = 256;

function isTextKey(key: string): boolean {
  if (typeof key !== "string" || key.length === 0) return false;
  if (key.length > MAX_TEXT_KEY && (key.length > 2 * MAX_TEXT_KEY || [...key].length > MAX_TEXT_KEY)) return false;
  return !LONE_SURROGATE.test(key);
}

/** Names and item ids: 1 to 256 Unicode characters. A lone surrogate is refused: UTF-8 has none, so two ids would become one key. */
export const textKey: KeyCodec<string> = {
  encode(key) {
    if (isTextKey(key)) return key;
    throw new StorageError(
      "invalid_key",
      `Key ${JSON.stringify(key)?.slice(0, 300)} is not a string of 1 to 256 Unicode characters without lone surrogates.`,
    );
  },
  decode: (text) => text,
};

const DIGITS = /^[0-9]{1,16}$/;

/**
 * Decimal strings, in numeric order: a letter for the number of digits (a = 1, p = 16) stands before them. Unlike padding this
 * gives back the string as it was put.
 */
export const decimalKey: KeyCodec<string> = {
  encode(key) {
    if (typeof key !== "string" || !DIGITS.test(key)) {
      throw new StorageError("invalid_key", `Key ${JSON.stringify(key)} is not a string of 1 to 16 decimal digits.`);
    }
    return String.fromCharCode(96 + key.length) + key;
  },
  decode: (text) => text.slice(1),
};

/** Whole numbers from 0 to 2^53 - 1, in numeric order; written like `decimalKey`. */
export const numberKey: KeyCodec<number> = {
  encode(key) {
    if (!Number.isSafeInteger(key) || key < 0) {
      throw new StorageError("invalid_key", `Key ${String(key)} is not a whole number from 0 to 2^53 - 1.`);
    }
    return decimalKey.encode(String(key));
  },
  decode: (text) => Number(text.slice(1)),
};
