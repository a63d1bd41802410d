import { CommanderError } from "commander";
import { AttuneApiError, AttuneConnectionError } from "../client/index.js";
import { AttuneError } from "../errors/index.js";
import { EXIT, ExitError, UsageError } from "./exit-codes.js";
import { createProgram } from "./program.js";

/** Runs a command line (without node and script) and returns the exit code; refusals and failures are told on stderr. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  try {
    await createProgram((code) => {
      exitCode = code;
    }).parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    const { code, message } = explain(error);
    if (message !== "") process.stderr.write(`${message}\n`);
    return code;
  }
}

function explain(error: unknown): { code: number; message: string } {
  if (error instanceof CommanderError) {
    // Commander has printed its message, or the help that was asked for.
    return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, message: "" };
  }
  if (error instanceof ExitError) return { code: error.exitCode, message: error.message };
  if (error instanceof UsageError) return { code: EXIT.usage, message: `error: ${error.message}` };
  if (error instanceof AttuneConnectionError) return { code: EXIT.cannotConnect, message: `error: ${error.message}` };
  if (error instanceof AttuneApiError) return { code: EXIT.refused, message: describeRefusal(error) };
  if (error instanceof AttuneError) return { code: EXIT.failure, message: `error: ${error.message} (${error.code})` };
  if (isSystemError(error)) return { code: EXIT.failure, message: `error: ${error.message}` };
  return { code: EXIT.failure, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function describeRefusal(error: AttuneApiError): string {
  const details = error.errors.slice(0, 10).map(({ path, message }) => `\n  ${path === "" ? "/" : path}: ${message}`);
  const more = error.errors.length > 10 ? `\n  and ${error.errors.length - 10} more` : "";
  return `refused (${error.code}): ${error.detail}${details.join("")}${more}`;
}

/** Of the operating system: no such file, no permission, port in use ... */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && "syscall" in error;
}
