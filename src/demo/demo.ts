import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { integer } from "../cli/option-parsers.js";
import { ProgressReporter } from "../cli/terminal/progress-reporter.js";
import { AttuneClient } from "../client/index.js";
import { type RunningServer, startServer } from "../http/index.js";
import { playRound } from "./round.js";
import { heading, renderTries } from "./story.js";

const USAGE = `Usage: npm run demo [-- options]

Starts a server with about 1,900 emoji, plays one round of the learning loop, and stays up until Ctrl-C.
  --exit           stop after the round
  --port PORT      port to listen on (default 7700, or a free one when that is taken)
  --data FOLDER    keep the data here; the folder must be empty or missing (default: a temporary folder)
  --seed SEED      of the feedback and the training (default 1)`;

interface DemoOptions {
  exit: boolean;
  port: number | undefined;
  data: string | undefined;
  seed: number;
}

const progress = new ProgressReporter(process.stderr);
const options = readOptions();
const data = options.data ?? mkdtempSync(path.join(os.tmpdir(), "attune-demo-"));
const server = await start();
const stopped = new AbortController();
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
// The reader of a pipe left; the data are still to be cleared up.
process.stdout.on("error", () => stopped.abort());

try {
  const client = new AttuneClient({ baseUrl: server.address, timeoutMs: 120_000 });
  await playRound({ client, progress, seed: options.seed, signal: stopped.signal });
  client.close();
  console.log(heading(`The server is at ${server.address}. Try:`));
  console.log(renderTries(server.address));
  if (!options.exit) {
    console.log("\nCtrl-C ends it.");
    await untilStopped();
  }
} catch (error) {
  progress.end();
  if (!stopped.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  await server.close();
  if (options.data === undefined) rmSync(data, { recursive: true, force: true });
}

function readOptions(): DemoOptions {
  try {
    const { values } = parseArgs({
      options: {
        exit: { type: "boolean", default: false },
        port: { type: "string" },
        data: { type: "string" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    if (values.data !== undefined && existsSync(values.data) && readdirSync(values.data).length > 0) {
      throw new Error(`--data ${values.data}: the folder is not empty; the demo starts from nothing`);
    }
    const port = values.port === undefined ? undefined : integer(0, 65_535)(values.port);
    return { exit: values.exit, data: values.data, port, seed: integer(0, 4_294_967_295)(values.seed) };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** On the asked port; without one on the usual port, or on a free one when that is taken. */
async function start(): Promise<RunningServer> {
  try {
    return await startServer({ data, port: options.port ?? 7700 });
  } catch (error) {
    if (options.port !== undefined || !(error instanceof Error && "code" in error && error.code === "EADDRINUSE"))
      throw error;
    return startServer({ data, port: 0 });
  }
}

function stop(): void {
  if (stopped.signal.aborted) process.exit(130);
  progress.note("\nstopping");
  stopped.abort();
}

function untilStopped(): Promise<void> {
  return new Promise((resolve) => stopped.signal.addEventListener("abort", () => resolve(), { once: true }));
}
