import { createInterface } from "node:readline/promises";
import { Command, Option } from "commander";
import type { CollectionInfo, CreateCollection } from "../../client/index.js";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { UsageError } from "../exit-codes.js";
import { integer } from "../option-parsers.js";
import { formatBytes, formatCount } from "../terminal/format.js";
import { renderTable } from "../terminal/table.js";

interface CreateOptions extends ServerOptions {
  modality: "text" | "image" | "vector";
  encoder?: string;
  dimensions?: number;
  metric?: "cosine" | "euclidean";
  queryPrompt?: string;
  itemPrompt?: string;
  m?: number;
  efConstruction?: number;
  efSearch?: number;
  shards?: number;
  keepGenerations?: number;
  autoTune?: number;
}

const EXAMPLE = `
Example:
  attune collections create notes --modality text
  attune collections create photos --modality image
  attune collections list
  attune collections show notes
  attune collections delete notes --yes`;

export function collectionsCommand(): Command {
  return new Command("collections")
    .description("List, create, show or delete collections.")
    .addHelpText("after", EXAMPLE)
    .addCommand(listCommand())
    .addCommand(createCommand())
    .addCommand(showCommand())
    .addCommand(deleteCommand());
}

function listCommand(): Command {
  return withServerOptions(new Command("list").description("List the collections."))
    .addHelpText("after", "\nExample:\n  attune collections list --json")
    .action(async (options: ServerOptions) => {
      const context = makeContext(options);
      const collections: CollectionInfo[] = [];
      for await (const collection of context.client.collections()) collections.push(collection);
      context.print({ collections }, describeList(collections));
    });
}

function describeList(collections: readonly CollectionInfo[]): string {
  if (collections.length === 0)
    return "no collections yet; make one with: attune collections create NAME --modality text";
  const columns = [
    { title: "name" },
    { title: "modality" },
    { title: "encoder" },
    { title: "metric" },
    { title: "items", align: "right" },
    { title: "feedback", align: "right" },
    { title: "generation", align: "right" },
    { title: "on disk", align: "right" },
  ] as const;
  const rows = collections.map((collection) => [
    collection.name,
    collection.modality,
    collection.encoder ?? "-",
    collection.metric,
    formatCount(collection.status.items),
    formatCount(feedbackOf(collection)),
    String(collection.status.activeGeneration),
    formatBytes(collection.status.bytesOnDisk),
  ]);
  return renderTable(columns, rows);
}

function feedbackOf({ status }: CollectionInfo): number {
  return status.feedback.pairs + status.feedback.triplets + status.feedback.labels;
}

function createCommand(): Command {
  const command = new Command("create")
    .description("Create a collection (nothing happens when it exists with the same settings).")
    .argument("<name>", "a-z, 0-9, _ and -, at most 63")
    .addOption(
      new Option("--modality <modality>", "what items are").choices(["text", "image", "vector"]).default("text"),
    )
    .option(
      "--encoder <encoder>",
      "use-lite (default for text), patch-cnn (for images), hf:ORG/REPO[@REVISION], or file:DIRECTORY",
    )
    .option("--dimensions <count>", "of a vector collection", integer(1))
    .addOption(new Option("--metric <metric>", "distance (default: cosine)").choices(["cosine", "euclidean"]))
    .option("--query-prompt <text>", "put before the text of queries")
    .option("--item-prompt <text>", "put before the text of items")
    .option("--m <count>", "links of each point of the graph (default: 16)", integer(2, 128))
    .option(
      "--ef-construction <count>",
      "how widely the graph is searched while building (default: 200)",
      integer(4, 4096),
    )
    .option("--ef-search <count>", "how widely the graph is searched by queries (default: 64)", integer(1, 10_000))
    .option("--shards <count>", "threads that hold a part of the points each (default: 1)", integer(1, 16))
    .option("--keep-generations <count>", "earlier generations kept for rollback (default: 3)", integer(1, 100))
    .option("--auto-tune <count>", "fine-tune whenever this much new feedback has come", integer(1));
  return withServerOptions(command)
    .addHelpText("after", "\nExample:\n  attune collections create notes --modality text --auto-tune 200")
    .action(async (name: string, options: CreateOptions) => {
      const context = makeContext(options);
      const { created, info } = await context.client.createCollection(name, settingsOf(options));
      context.print({ created, ...info }, created ? `created ${name}` : `${name} exists with the same settings`);
    });
}

function settingsOf(options: CreateOptions): CreateCollection {
  const { m, efConstruction, efSearch, shards } = options;
  const index = dropUndefined({ m, efConstruction, efSearch, shards });
  const prompts = dropUndefined({ query: options.queryPrompt, item: options.itemPrompt });
  return dropUndefined({
    modality: options.modality,
    encoder: options.encoder,
    dimensions: options.dimensions,
    metric: options.metric,
    prompts: Object.keys(prompts).length === 0 ? undefined : prompts,
    index: Object.keys(index).length === 0 ? undefined : index,
    keepGenerations: options.keepGenerations,
    autoTune: options.autoTune === undefined ? undefined : { minFeedback: options.autoTune },
  });
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T;
}

function showCommand(): Command {
  return withServerOptions(
    new Command("show").description("Show a collection's settings and status.").argument("<name>"),
  )
    .addHelpText("after", "\nExample:\n  attune collections show notes")
    .action(async (name: string, options: ServerOptions) => {
      const context = makeContext(options);
      const info = await context.client.collection(name).info();
      context.print(info, JSON.stringify(info, null, 2));
    });
}

function deleteCommand(): Command {
  const command = new Command("delete")
    .description("Delete a collection and everything in it.")
    .argument("<name>")
    .option("-y, --yes", "do not ask");
  return withServerOptions(command)
    .addHelpText("after", "\nExample:\n  attune collections delete notes --yes")
    .action(async (name: string, options: ServerOptions & { yes?: boolean }) => {
      const context = makeContext(options);
      const { status } = await context.client.collection(name).info();
      if (options.yes !== true && !(await confirm(`Delete ${name} with ${formatCount(status.items)} items?`))) {
        throw new UsageError("nothing was deleted");
      }
      await context.client.collection(name).delete();
      context.print({ deleted: name }, `deleted ${name}`);
    });
}

async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true) throw new UsageError("add --yes to delete without being asked");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
