import { type TSchema, Type } from "typebox";
import { CATALOGUE, type ErrorCode } from "../errors/index.js";
import { PROBLEM_JSON, problemOf } from "./problem.js";

const ProblemRef = Type.Unsafe({ $ref: "Problem#" });

/** Codes that any request may meet. */
const ALWAYS: readonly ErrorCode[] = ["malformed_request", "url_too_long", "internal", "shutting_down"];

/** Codes that any request with a body may meet. */
export const BODY_ERRORS: readonly ErrorCode[] = [
  "malformed_json",
  "validation_failed",
  "body_too_large",
  "unsupported_media_type",
];

/**
 * The response schemas of a route: those of success as given, and a problem for every status that one of the codes has.
 * The type is that of success alone, which is what handlers send.
 */
export function responses<T extends Record<number, TSchema>>(
  success: T,
  ...codes: (ErrorCode | readonly ErrorCode[])[]
): T {
  const byStatus = new Map<number, ErrorCode[]>();
  const given = codes.flat();
  // Whatever names a collection may name one that is closed for want of its encoder.
  const ofCollection: readonly ErrorCode[] = given.includes("collection_not_found") ? ["encoder_changed"] : [];
  for (const code of new Set([...given, ...ofCollection, ...ALWAYS])) {
    const { status } = CATALOGUE[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const problems = [...byStatus].map(([status, group]) => [status, problemResponse(group)]);
  return { ...Object.fromEntries(problems), ...success };
}

function problemResponse(codes: readonly ErrorCode[]): object {
  const examples = Object.fromEntries(codes.map((code) => [code, { value: problemOf(code, CATALOGUE[code].title) }]));
  return {
    description: codes.map((code) => `\`${code}\`: ${CATALOGUE[code].title}.`).join(" "),
    content: { [PROBLEM_JSON]: { schema: ProblemRef, examples } },
  };
}

/** A success without a body. */
export const NoContent = Type.Null({ description: "Done; there is no body." });
