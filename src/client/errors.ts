import type { Problem } from "../../schemas/index.js";

/** The server refused or failed a request; `code` is stable and explained in docs/errors.md. */
export class AttuneApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** What was got, what was expected, and what to do. */
  readonly detail: string;
  readonly errors: readonly { path: string; message: string }[];

  constructor(problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
    this.name = "AttuneApiError";
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
  }
}

/** No answer came: the server is not there, the connection broke, or the time was up. */
export class AttuneConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AttuneConnectionError";
  }
}
