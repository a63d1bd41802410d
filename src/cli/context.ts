import { type Command, Option } from "commander";
import { AttuneClient } from "../client/index.js";
import { ProgressReporter } from "./terminal/progress-reporter.js";

/** Options of every command that talks to a server. */
export interface ServerOptions {
  url: string;
  json?: boolean;
}

/** What a command works with: the client, and where its results and its progress go. */
export interface Context {
  client: AttuneClient;
  url: string;
  json: boolean;
  /** On stderr, so that stdout holds results only. */
  progress: ProgressReporter;
  /** Prints the value as one line of JSON with --json, and the text otherwise. */
  print(value: unknown, text: string): void;
}

export const jsonOption = () => new Option("--json", "print machine-readable JSON on stdout");

/** Adds --url and --json. */
export function withServerOptions(command: Command): Command {
  return command
    .addOption(new Option("--url <url>", "address of the server").env("ATTUNE_URL").default("http://127.0.0.1:7700"))
    .addOption(jsonOption());
}

export function makeContext(options: ServerOptions): Context {
  const json = options.json === true;
  return {
    client: new AttuneClient({ baseUrl: options.url, timeoutMs: 120_000 }),
    url: options.url,
    json,
    progress: new ProgressReporter(process.stderr),
    print: (value, text) => printResult(json, value, text),
  };
}

/** One line of JSON, or the text. */
export function printResult(json: boolean, value: unknown, text: string): void {
  if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
  else if (text !== "") process.stdout.write(`${text}\n`);
}
