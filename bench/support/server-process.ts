import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../src/cli/attune.js", import.meta.url));

export interface ServerProcess {
  /** For example `http://127.0.0.1:40123`. */
  url: string;
  pid: number;
  /** Asks the server to end and waits until it has. */
  stop(): Promise<void>;
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>;
}

export interface ServerProcessOptions {
  data: string;
  /** More options of `attune serve`. */
  args?: readonly string[];
}

/** Starts `attune serve` as a process of its own on a free port, so that the measuring does not share its event loop. */
export async function startServerProcess({ data, args = [] }: ServerProcessOptions): Promise<ServerProcess> {
  const child = spawn(process.execPath, [CLI, "serve", "--data", data, "--port", "0", "--json", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A measuring process that fails must not leave its server behind.
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  child.once("exit", () => process.off("exit", killWithUs));
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const url = await readAddress(child, () => errors);
  return {
    url,
    pid: child.pid ?? 0,
    stop: () => end(child, "SIGTERM"),
    kill: () => end(child, "SIGKILL"),
  };
}

/** Its first line tells the address; what it logs after that, from warnings up, is passed on to stderr. */
function readAddress(child: ChildProcess & { stdout: NodeJS.ReadableStream }, errors: () => string): Promise<string> {
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const { url } = JSON.parse(line) as { url?: string };
      if (url === undefined) process.stderr.write(`server: ${line}\n`);
      else resolve(url);
    });
    lines.on("close", () => reject(new Error(`the server ended:\n${errors()}`)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "exit");
  child.kill(signal);
  await closed;
}
