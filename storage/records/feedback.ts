import { isCount, isJsonObject, objectCodec } from "./codec.js";

/** One piece of feedback; further fields are kept as they are. */
export interface FeedbackRecord {
  kind: "pair" | "triplet" | "label";
  /** What was said: a JSON object that storage does not look into. */
  body: object;
  /** ISO 8601. */
  createdAt: string;
  sequence: number;
  [extra: string]: unknown;
}

const KINDS: readonly unknown[] = ["pair", "triplet", "label"];

export const feedbackCodec = objectCodec<FeedbackRecord>("Feedback", 1, (value) => {
  if (!KINDS.includes(value.kind)) return `kind ${JSON.stringify(value.kind)} is none of ${KINDS.join(", ")}`;
  if (!isJsonObject(value.body)) return "body is not an object";
  if (typeof value.createdAt !== "string") return "createdAt is not a string";
  return isCount(value.sequence) ? undefined : "sequence is not a whole number from 0";
});
