import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import type { Generation } from "../../client/index.js";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { EXIT, ExitError, type SetExitCode } from "../exit-codes.js";
import { followJob } from "../follow-job.js";
import { integer } from "../option-parsers.js";
import { formatBytes, formatCount } from "../terminal/format.js";
import { renderTable } from "../terminal/table.js";

const EXAMPLE = `
Example:
  attune generations list notes
  attune generations activate notes 0
  attune generations download notes 2 -o encoder.onnx`;

export function generationsCommand(setExitCode: SetExitCode): Command {
  return new Command("generations")
    .description("List a collection's generations, make one of them the active one (rollback), or download its model.")
    .addHelpText("after", EXAMPLE)
    .addCommand(listCommand())
    .addCommand(activateCommand(setExitCode))
    .addCommand(downloadCommand());
}

function listCommand(): Command {
  return withServerOptions(new Command("list").description("List the generations.").argument("<collection>"))
    .addHelpText("after", "\nExample:\n  attune generations list notes")
    .action(async (collection: string, options: ServerOptions) => {
      const context = makeContext(options);
      const generations = await context.client.collection(collection).generations();
      context.print({ generations }, describe(generations));
    });
}

function describe(generations: readonly Generation[]): string {
  const columns = [
    { title: "generation", align: "right" },
    { title: "active" },
    { title: "made" },
    { title: "by" },
    { title: "trained" },
    { title: "improvement", align: "right" },
    { title: "items", align: "right" },
    { title: "bytes", align: "right" },
  ] as const;
  const rows = generations.map((entry) => [
    String(entry.generation),
    entry.active ? "yes" : "",
    entry.createdAt.slice(0, 19).replace("T", " "),
    entry.fineTune === undefined ? "-" : `fine-tune ${entry.fineTune}`,
    entry.scope ?? "-",
    entry.metrics === undefined ? "-" : entry.metrics.improvement.mean.toFixed(3),
    formatCount(entry.items),
    formatBytes(entry.bytes),
  ]);
  return renderTable(columns, rows);
}

function activateCommand(setExitCode: SetExitCode): Command {
  const command = new Command("activate")
    .description("Make a generation the active one; writes made since are kept. Waits until it is done.")
    .argument("<collection>")
    .argument("<generation>", "its number", integer(0));
  return withServerOptions(command)
    .addHelpText("after", "\nExample:\n  attune generations activate notes 0")
    .action(async (collection: string, generation: number, options: ServerOptions) => {
      const context = makeContext(options);
      const { id } = await context.client.collection(collection).activate(generation);
      const job = await followJob(context, collection, id, setExitCode);
      context.print(job, job.status === "promoted" ? `generation ${generation} is active` : "");
    });
}

interface DownloadOptions extends ServerOptions {
  output?: string;
}

function downloadCommand(): Command {
  const command = new Command("download")
    .description("Download a generation's model as an ONNX file: its tuned encoder, or its head.")
    .argument("<collection>")
    .argument("<generation>", "its number", integer(0))
    .option("-o, --output <file>", "where to; - is stdout (default: a name that says what it is)");
  return withServerOptions(command)
    .addHelpText("after", "\nExample:\n  attune generations download notes 2 -o encoder.onnx")
    .action(download);
}

async function download(collection: string, generation: number, options: DownloadOptions): Promise<void> {
  const context = makeContext(options);
  const { stream, name, bytes, hash } = await context.client.collection(collection).downloadModel(generation);
  const file = options.output ?? name;
  if (file === "-") {
    await pipeline(stream, process.stdout, { end: false });
    return;
  }
  const sha256 = createHash("sha256");
  const counted = countBytes(sha256, (count) => {
    context.progress.update({ label: "downloading", count, total: bytes, unit: "bytes" });
  });
  await writeWhole(
    file,
    (partial) => pipeline(stream, counted, createWriteStream(partial)),
    () => {
      const digest = sha256.digest("hex");
      if (hash !== "" && digest !== hash)
        throw new ExitError(EXIT.failure, `${file}: the bytes that arrived are damaged`);
    },
  );
  context.progress.end();
  context.print({ file, bytes, ...(hash === "" ? {} : { sha256: hash }) }, `${file}: ${formatBytes(bytes)}`);
}

/** Passes bytes on, hashing and counting them. */
function countBytes(hash: Hash, onCount: (bytes: number) => void): Transform {
  let count = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      count += chunk.length;
      onCount(count);
      done(null, chunk);
    },
  });
}

/** The file is there whole or not at all. */
async function writeWhole(file: string, write: (partial: string) => Promise<void>, check: () => void): Promise<void> {
  const partial = `${file}.part`;
  try {
    await write(partial);
    check();
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
