import { CATALOGUE, type ErrorCode } from "./catalogue.js";

/** One reason among several why a request was refused; `path` is a JSON pointer into the body. */
export interface ErrorDetail {
  path: string;
  message: string;
}

/**
 * A refusal or failure with a stable code. The code decides the HTTP status and the title (see `catalogue.ts`);
 * `message` says what was got, what was expected, and what to do.
 */
export class AttuneError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: readonly ErrorDetail[] | undefined;

  constructor(code: ErrorCode, message: string, options: { details?: readonly ErrorDetail[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AttuneError";
    this.code = code;
    this.status = CATALOGUE[code].status;
    this.details = options.details;
  }
}
