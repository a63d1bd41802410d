import { Command, Option } from "commander";
import type { ServerOptions } from "../../http/index.js";
import { jsonOption, printResult } from "../context.js";
import { limitOption } from "../limit-option.js";
import { integer } from "../option-parsers.js";
import { waitForStop } from "../stop-signal.js";

interface ServeOptions {
  data: string;
  host: string;
  port: number;
  provider: NonNullable<ServerOptions["provider"]>;
  durability: "fsync" | "os";
  threads?: number;
  cacheDirectory?: string;
  queryCacheBytes?: number;
  limit?: ServerOptions["limits"];
  resumeFineTunes: boolean;
  logLevel: NonNullable<ServerOptions["logLevel"]>;
  json?: boolean;
}

const EXAMPLE = `
Example:
  attune serve --data ./data
  curl http://127.0.0.1:7700/readyz`;

export function serveCommand(): Command {
  return new Command("serve")
    .description("Start the server, until Ctrl-C.")
    .requiredOption("--data <directory>", "the data directory; made when missing")
    .option("--host <host>", "address to listen on", "127.0.0.1")
    .option("--port <port>", "port to listen on; 0 takes a free one", integer(0, 65_535), 7700)
    .addOption(
      new Option("--provider <provider>", "where ONNX Runtime computes")
        .choices(["auto", "cuda", "webgpu", "coreml", "dml", "cpu"])
        .default("auto"),
    )
    .addOption(
      new Option("--durability <level>", "fsync: an acknowledged write is on the disk; os: it is with the system")
        .choices(["fsync", "os"])
        .default("fsync"),
    )
    .option("--threads <count>", "threads of encoding and training (default: the cores)", integer(1, 1024))
    .option("--cache-directory <directory>", "where models are kept")
    .option(
      "--query-cache-bytes <bytes>",
      "memory for embeddings of recent query texts; 0: none (default: 16 MiB)",
      integer(0, 2 ** 40),
    )
    .addOption(limitOption())
    .option("--no-resume-fine-tunes", "leave fine-tunes that the last end cut off as they are (tune --resume goes on)")
    .addOption(
      new Option("--log-level <level>", "how much is logged, as JSON lines on stderr")
        .choices(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
        .default("warn"),
    )
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLE)
    .action(serve);
}

async function serve({ json = false, limit, ...options }: ServeOptions): Promise<void> {
  // Only this command needs the database; the others start faster without it.
  const { startServer } = await import("../../http/index.js");
  const server = await startServer({ ...options, limits: limit });
  const ready = `Attune listens at ${server.address}, data in ${options.data}. Ctrl-C stops it.`;
  printResult(json, { url: server.address, data: options.data, pid: process.pid }, ready);
  await waitForStop();
  process.stderr.write("stopping: answering what is in flight, saving indexes (Ctrl-C again ends at once)\n");
  await server.close();
}
