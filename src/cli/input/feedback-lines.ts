import { readFileSync } from "node:fs";
import type { FeedbackToSend, ReferenceToSend } from "../../client/index.js";
import { UsageError } from "../exit-codes.js";

type Entry<K extends keyof FeedbackToSend> = NonNullable<FeedbackToSend[K]>[number];

/** One piece of feedback; `line` says where in the file it stood. */
export type FeedbackLine = { line?: number } & (
  | { kind: "pair"; value: Entry<"pairs"> }
  | { kind: "triplet"; value: Entry<"triplets"> }
  | { kind: "label"; value: Entry<"labels"> }
);

const EXPECTED = "expected {a, b, label}, {anchor, positive, negative} or {item, label}";
const TEXT_PREFIX = "text:";
const IMAGE_PREFIX = "image:";

/** An item's id, or after "text:" a text, or after "image:" an image file, that is no item. */
export function referenceOf(word: string): ReferenceToSend {
  if (word.startsWith(TEXT_PREFIX)) return { text: word.slice(TEXT_PREFIX.length) };
  return word.startsWith(IMAGE_PREFIX) ? { image: readFileSync(word.slice(IMAGE_PREFIX.length)) } : word;
}

/**
 * Tells by its fields what a line of a feedback file is; the values are the server's to check.
 * @throws UsageError when it is none of the three.
 */
export function parseFeedbackLine(
  value: Record<string, unknown> | undefined,
  problem: string | undefined,
  place: string,
): FeedbackLine {
  if (value === undefined) throw new UsageError(`${place}: ${problem ?? EXPECTED}`);
  if ("anchor" in value) return { kind: "triplet", value: value as unknown as Entry<"triplets"> };
  if ("item" in value) return { kind: "label", value: value as unknown as Entry<"labels"> };
  if ("a" in value) return { kind: "pair", value: value as unknown as Entry<"pairs"> };
  throw new UsageError(`${place}: ${EXPECTED}; got ${JSON.stringify(value).slice(0, 120)}`);
}
