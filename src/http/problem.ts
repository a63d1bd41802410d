import type { FastifyError } from "fastify";
import type { Problem } from "../../schemas/index.js";
import { AttuneError, CATALOGUE, type ErrorCode, type ErrorDetail } from "../errors/index.js";
import { explainValidation } from "./explain-validation.js";

/** The media type of every error (RFC 9457). */
export const PROBLEM_JSON = "application/problem+json";

/** Where each code is explained; the server itself answers it. */
export const ERROR_PAGE = "/docs/errors.md";

/** Seconds after which a request refused with 503 is worth sending again. */
export const RETRY_AFTER_SECONDS = 1;

export function problemOf(code: ErrorCode, detail: string, errors?: readonly ErrorDetail[]): Problem {
  const { status, title } = CATALOGUE[code];
  const problem: Problem = { type: `${ERROR_PAGE}#${code}`, title, status, detail, code };
  return errors === undefined ? problem : { ...problem, errors: [...errors] };
}

/** What each error of the web framework is to the person who made the request. */
const FRAMEWORK: Record<string, { code: ErrorCode; detail: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: "body_too_large",
    detail:
      "The body is larger than this server takes. Send smaller batches, or import items as application/x-ndjson, which has no limit.",
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: "unsupported_media_type",
    detail:
      "Send the body as application/json; items may also be sent as application/x-ndjson, vectors of items and queries as application/octet-stream.",
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: "malformed_request",
    detail: "The body is not as long as its Content-Length says.",
  },
  FST_ERR_BAD_URL: {
    code: "malformed_request",
    detail:
      "The address cannot be decoded: a percent sign must be followed by two hexadecimal digits (write % itself as %25).",
  },
  FST_ERR_MAX_PARAM_LENGTH: {
    code: "url_too_long",
    detail: "A part of the address is too long; ids have at most 256 characters and names at most 63.",
  },
};

/** The problem a person is told of; anything unknown is `internal`, and says nothing of the inside. */
export function toProblem(error: unknown): Problem {
  // The message of an `internal` error is for the log: it may hold paths.
  if (error instanceof AttuneError) {
    return error.code === "internal" ? internal() : problemOf(error.code, error.message, error.details);
  }
  if (isDeepRecursion(error)) {
    return problemOf(
      "filter_too_deep",
      "The body is nested far too deeply; a filter may be nested 8 levels deep by default.",
    );
  }
  if (!isFrameworkError(error)) return internal();
  if (error.validation !== undefined) return validationProblem(error.validation, error.validationContext);
  const known = FRAMEWORK[error.code];
  if (known !== undefined) return problemOf(known.code, known.detail);
  return error.statusCode === 400 ? problemOf("malformed_request", "The request cannot be read.") : internal();
}

function internal(): Problem {
  return problemOf(
    "internal",
    "Something went wrong in the server; its log tells more. Sending the request again may help.",
  );
}

const PART_NAMES: Record<string, string> = {
  body: "body",
  querystring: "query string",
  params: "path",
  header: "header",
};

/** The refusal of a value that does not fit its schema. */
export function validationProblem(
  errors: NonNullable<FastifyError["validation"]>,
  context: string | undefined,
): Problem {
  const reason = explainValidation(errors);
  const part = PART_NAMES[context ?? "body"] ?? "request";
  const place = reason.path === "" ? `The ${part}` : `The ${part} at ${reason.path}`;
  return problemOf("validation_failed", `${place} does not fit: ${reason.message}.`, [reason]);
}

function isFrameworkError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

/** A filter nested thousands of levels deep runs the recursive validator out of stack before any limit is checked. */
function isDeepRecursion(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("Maximum call stack");
}
