/** What the `attune` command ends with; `attune --help` lists them. */
export const EXIT = {
  ok: 0,
  /** Something failed: a file cannot be read, some lines of an import were refused, a job failed. */
  failure: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** No server answers at the address. */
  cannotConnect: 3,
  /** The server answered and refused; stderr has its code and reason. */
  refused: 4,
  /** The fine-tune ran, and the gate turned its result down: it did not prove better on held-out feedback. */
  rejected: 5,
  interrupted: 130,
} as const;

export const EXIT_HELP = `Exit codes:
  0    done
  1    failed: a file cannot be read, lines of an import were refused, a job failed
  2    the command line makes no sense
  3    no server answers at --url
  4    the server refused; its code and reason are on stderr
  5    the fine-tune was turned down by the gate
  130  interrupted by Ctrl-C`;

/** A command line that makes no sense; the message says what was expected. */
export class UsageError extends Error {}

/** Ends the command with the given code; the message goes to stderr. */
export class ExitError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Sets the exit code of a command that ends without an error. */
export type SetExitCode = (code: number) => void;
