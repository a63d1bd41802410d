import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { Command } from "commander";
import { AttuneApiError, type CollectionClient, type Filter } from "../../client/index.js";
import { type Context, makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { jsonObject } from "../option-parsers.js";
import { formatCount } from "../terminal/format.js";
import { RateMeter } from "../terminal/rate-meter.js";

interface ExportOptions extends ServerOptions {
  output?: string;
  withVectors?: boolean;
  filter?: Record<string, unknown>;
}

const PAGE = 1_000;

const EXAMPLE = `
Example:
  attune export notes --output notes.jsonl
  attune export notes | jq .text`;

export function exportCommand(): Command {
  const command = new Command("export")
    .description("Write a collection's items as JSON lines, ready for attune import.")
    .argument("<collection>")
    .option("-o, --output <file>", "where to write (default: stdout)")
    .option("--with-vectors", "with the encoder's vectors (of a vector collection they come always)")
    .option("--filter <json>", "only items whose payload fits", jsonObject);
  return withServerOptions(command)
    .addHelpText("after", `${EXAMPLE}\n\nWith --json and --output, a summary is printed on stdout.`)
    .action(exportItems);
}

async function exportItems(collection: string, options: ExportOptions): Promise<void> {
  const context = makeContext(options);
  const total = await context.client.collection(collection).count(options.filter as Filter | undefined);
  if (options.output === undefined) {
    await writeItems(context, collection, options, process.stdout, total);
    return;
  }
  const file = createWriteStream(options.output);
  await once(file, "open");
  const items = await writeItems(context, collection, options, file, total);
  file.end();
  await finished(file);
  context.print({ items, output: options.output }, "");
}

async function writeItems(
  context: Context,
  name: string,
  options: ExportOptions,
  output: Writable,
  total: number,
): Promise<number> {
  const collection = context.client.collection(name);
  const isVectors = (await collection.info()).modality === "vector";
  const scroll = {
    filter: options.filter as Filter | undefined,
    limit: PAGE,
    withVector: isVectors || options.withVectors,
  };
  const meter = new RateMeter();
  let count = 0;
  for await (const { payload, imageUrl, ...content } of collection.items(scroll)) {
    const item = imageUrl === undefined ? content : await withImage(collection, content);
    if (item === undefined) continue;
    const line = `${JSON.stringify(payload === null ? item : { ...item, payload })}\n`;
    if (!output.write(line)) await once(output, "drain");
    count += 1;
    if (count % PAGE !== 0) continue;
    meter.record(count);
    const label = `exporting ${name}`;
    context.progress.update({
      label,
      count,
      total,
      unit: "items",
      rate: meter.perSecond,
      etaMs: meter.etaMs(total - count),
    });
  }
  context.progress.end(`exported ${formatCount(count)} items of ${name}`);
  return count;
}

/** The item with the image that an import takes; nothing when it was deleted since it was listed. */
async function withImage<T extends { id: string }>(
  collection: CollectionClient,
  item: T,
): Promise<(T & { image: string }) | undefined> {
  try {
    const { bytes } = await collection.image(item.id);
    return { ...item, image: bytes.toString("base64") };
  } catch (error) {
    if (error instanceof AttuneApiError && error.code === "item_not_found") return undefined;
    throw error;
  }
}
