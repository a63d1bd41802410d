import {
  corruptRecord,
  invalidRecord,
  isCount,
  isJsonObject,
  parseJson,
  type RecordCodec,
  stringifyJson,
} from "./codec.js";

/** What is stored of an item besides its vectors. */
export interface ItemRecord {
  /** Row in the vector files and label in the index: 0 to 2^32 - 1. */
  label: number;
  /** Sequence number of the last change, of any kind. */
  sequence: number;
  /** Sequence number of the write that set this content; feedback about older content is stale. */
  contentSequence: number;
  text?: string;
  /** Content in the content store: the hash that names it, and its media type. */
  image?: StoredImage;
  payload: Record<string, unknown> | null;
}

/** An image in the content store. */
export interface StoredImage {
  /** SHA-256 in hexadecimal. */
  hash: string;
  /** Media type, such as `image/png`. */
  type: string;
}

/** Version 1 has a text (or none) in the fifth place, version 2 an image: programs that know no images refuse only these. */
const VERSIONS = { text: 1, image: 2 };

function problemOf(label: unknown, sequence: unknown, contentSequence: unknown, payload: unknown) {
  if (!isCount(label) || label > 0xffffffff) return `label ${JSON.stringify(label)} is not a whole number below 2^32`;
  if (!isCount(sequence)) return `sequence ${JSON.stringify(sequence)} is not a whole number from 0`;
  if (!isCount(contentSequence))
    return `contentSequence ${JSON.stringify(contentSequence)} is not a whole number from 0`;
  if (payload !== null && !isJsonObject(payload)) return "the payload is neither an object nor null";
  return undefined;
}

function problemOfContent(version: number, content: unknown): string | undefined {
  if (version === VERSIONS.text) {
    return content === null || typeof content === "string" ? undefined : "the text is not a string";
  }
  const [hash, type] = Array.isArray(content) ? content : [];
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return "the image has no SHA-256";
  return typeof type === "string" ? undefined : "the image has no media type";
}

/**
 * `[1, label, sequence, contentSequence, text | null, payload | null]` as JSON; of an image
 * `[2, label, sequence, contentSequence, [hash, type], payload | null]`. A binary header was measured slower to scan (276 against
 * 160 ms for 100,000 items): a buffer made for each value costs more than JSON.parse of the whole.
 */
export const itemCodec: RecordCodec<ItemRecord> = {
  encode({ label, sequence, contentSequence, text, image, payload }) {
    const version = image === undefined ? VERSIONS.text : VERSIONS.image;
    const content = image === undefined ? (text ?? null) : [image.hash, image.type];
    const problem =
      problemOf(label, sequence, contentSequence, payload) ??
      problemOfContent(version, content) ??
      (text !== undefined && image !== undefined ? "it has a text and an image" : undefined);
    if (problem !== undefined) throw invalidRecord("An item", problem);
    return stringifyJson([version, label, sequence, contentSequence, content, payload], "An item");
  },
  decode(stored, key) {
    const parsed = parseJson(stored, key);
    if (!Array.isArray(parsed) || parsed.length !== 6) throw corruptRecord(key, "expected an array of 6 values");
    const [version, label, sequence, contentSequence, content, payload] = parsed as unknown[];
    if (version !== VERSIONS.text && version !== VERSIONS.image) {
      throw corruptRecord(key, `expected version 1 or 2, found ${JSON.stringify(version)}`);
    }
    const problem = problemOf(label, sequence, contentSequence, payload) ?? problemOfContent(version, content);
    if (problem !== undefined) throw corruptRecord(key, problem);
    const record = { label, sequence, contentSequence, payload } as ItemRecord;
    if (version === VERSIONS.image) {
      const [hash, type] = content as [string, string];
      record.image = { hash, type };
    } else if (content !== null) record.text = content as string;
    return record;
  },
};
