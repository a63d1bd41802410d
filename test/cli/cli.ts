import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../src/cli/attune.js", import.meta.url));

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  input?: string;
  env?: Record<string, string>;
}

/** Starts `attune` as a process of its own; stdin is a pipe. */
export function startCli(args: readonly string[], { env = {} }: CliOptions = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...env } });
  // A command may end before it has read everything.
  child.stdin.on("error", () => {});
  const result: CliResult = { code: null, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    result.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    result.stderr += chunk;
  });
  const ended = once(child, "close").then(([code]) => {
    result.code = code as number | null;
    return result;
  });
  return { child, result, ended };
}

/** Runs `attune` to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { child, ended } = startCli(args, options);
  child.stdin.end(options.input ?? "");
  return ended;
}

/** The JSON that a command printed with --json. */
export function parseOutput<T>(result: CliResult): T {
  return JSON.parse(result.stdout) as T;
}
