import { Command } from "commander";
import { AttuneApiError, type FeedbackResult, type FeedbackToSend } from "../../client/index.js";
import { type Context, makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { UsageError } from "../exit-codes.js";
import { type FeedbackLine, parseFeedbackLine, referenceOf } from "../input/feedback-lines.js";
import { readJsonLines } from "../input/jsonl.js";
import { findSource } from "../input/source.js";
import { formatCount } from "../terminal/format.js";

interface FeedbackOptions extends ServerOptions {
  similar?: string[];
  dissimilar?: string[];
  triplet?: string[];
  label?: string[];
  file?: string;
  labelsFrom?: string;
  list?: boolean;
}

/** One request holds this many; it is accepted or refused as a whole. */
const BATCH = 1_000;

const EXAMPLE = `
Examples:
  attune feedback notes --similar 17 42 --dissimilar 17 99
  attune feedback notes --triplet "text:lost my card" 17 99 --label 17 cards --label 42 cards
  attune feedback notes --file feedback.jsonl
  attune feedback photos --labels-from folder

References are item ids; "text:..." is a text that is no item, such as a query, and "image:FILE" an image. Lines of a feedback file:
  {"a": "17", "b": "42", "label": "similar"}
  {"anchor": {"text": "lost my card"}, "positive": "17", "negative": "99"}
  {"item": "17", "label": "cards"}`;

const collect = (value: string, before: string[] = []) => [...before, value];

export function feedbackCommand(): Command {
  const command = new Command("feedback")
    .description("Say which items are similar and which are not.")
    .argument("<collection>")
    .option("--similar <a b...>", "pairs of similar items", collect)
    .option("--dissimilar <a b...>", "pairs of dissimilar items", collect)
    .option(
      "--triplet <anchor positive negative...>",
      "the anchor is nearer to the positive than to the negative",
      collect,
    )
    .option("--label <item label...>", "items of one label are similar, of different labels dissimilar", collect)
    .option("--file <file>", "JSON lines; - is standard input")
    .option("--labels-from <field>", "each item's label is this field of its payload; items without it get none")
    .option("--list", "print the feedback given so far, as JSON lines");
  return withServerOptions(command).addHelpText("after", EXAMPLE).action(feedback);
}

async function feedback(collection: string, options: FeedbackOptions): Promise<void> {
  const context = makeContext(options);
  if (options.list === true) return list(context, collection);
  const lines = linesOfFlags(options);
  if (lines.length === 0 && options.file === undefined && options.labelsFrom === undefined) {
    throw new UsageError(
      "no feedback given: expected --similar, --dissimilar, --triplet, --label, --labels-from or --file (or --list)",
    );
  }
  const total: FeedbackResult = { accepted: 0, ids: [], total: 0, replaced: 0 };
  if (lines.length > 0) add(total, await submit(context, collection, lines));
  if (options.file !== undefined) {
    for await (const batch of batchesOfFile(options.file))
      add(total, await submitBatch(context, collection, batch, total));
  }
  if (options.labelsFrom !== undefined) {
    for await (const batch of labelsOfItems(context, collection, options.labelsFrom))
      add(total, await submit(context, collection, batch));
    if (total.accepted === 0) context.progress.note(`no item has a text or a number in "${options.labelsFrom}"`);
  }
  const tuning = total.fineTune === undefined ? "" : `; fine-tune ${total.fineTune.id} started`;
  const replaced = total.replaced === 0 ? "" : `, ${formatCount(total.replaced)} replaced`;
  context.print(
    total,
    `${formatCount(total.accepted)} accepted${replaced}, ${formatCount(total.total)} in all${tuning}`,
  );
}

async function list({ client }: Context, collection: string): Promise<void> {
  for await (const entry of client.collection(collection).feedback())
    process.stdout.write(`${JSON.stringify(entry)}\n`);
}

function linesOfFlags(options: FeedbackOptions): FeedbackLine[] {
  const pairs = (values: string[] | undefined, label: "similar" | "dissimilar") =>
    groups(values, 2, `--${label} takes two items`).map(([a = "", b = ""]): FeedbackLine => {
      return { kind: "pair", value: { a: referenceOf(a), b: referenceOf(b), label } };
    });
  const triplets = groups(options.triplet, 3, "--triplet takes an anchor, a positive and a negative");
  const labels = groups(options.label, 2, "--label takes an item and a label");
  return [
    ...pairs(options.similar, "similar"),
    ...pairs(options.dissimilar, "dissimilar"),
    ...triplets.map(([anchor = "", positive = "", negative = ""]): FeedbackLine => {
      const value = { anchor: referenceOf(anchor), positive: referenceOf(positive), negative: referenceOf(negative) };
      return { kind: "triplet", value };
    }),
    ...labels.map(
      ([item = "", label = ""]): FeedbackLine => ({ kind: "label", value: { item: referenceOf(item), label } }),
    ),
  ];
}

function groups(values: readonly string[] | undefined, size: number, message: string): string[][] {
  if (values === undefined) return [];
  if (values.length % size !== 0) throw new UsageError(`${message}; got ${values.length} values`);
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}

async function* batchesOfFile(file: string): AsyncGenerator<FeedbackLine[]> {
  let batch: FeedbackLine[] = [];
  for await (const { line, item, problem } of readJsonLines(findSource(file).open())) {
    batch.push({ ...parseFeedbackLine(item, problem, `${file}, line ${line}`), line });
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** What a field of the items' payloads says, as labels; it goes through the whole collection. */
async function* labelsOfItems(
  { client, progress }: Context,
  name: string,
  field: string,
): AsyncGenerator<FeedbackLine[]> {
  const collection = client.collection(name);
  const total = await collection.count();
  let batch: FeedbackLine[] = [];
  let count = 0;
  for await (const { id, payload } of collection.items({ limit: BATCH })) {
    count += 1;
    const value = payload?.[field];
    if ((typeof value === "string" && value !== "") || typeof value === "number") {
      batch.push({ kind: "label", value: { item: id, label: String(value) } });
    }
    if (batch.length < BATCH) continue;
    progress.update({ label: `labelling ${name}`, count, total, unit: "items" });
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
  progress.end();
}

/** As `submit`; a refusal says which lines it concerns. */
async function submitBatch(
  context: Context,
  collection: string,
  batch: readonly FeedbackLine[],
  before: FeedbackResult,
): Promise<FeedbackResult> {
  try {
    return await submit(context, collection, batch);
  } catch (error) {
    if (!(error instanceof AttuneApiError)) throw error;
    const [first, last] = [batch[0]?.line, batch.at(-1)?.line];
    context.progress.note(
      `lines ${first} to ${last} were refused as a whole; ${formatCount(before.accepted)} above them were accepted`,
    );
    for (const { path } of error.errors.slice(0, 10)) {
      const line = lineOf(path, batch);
      if (line !== undefined) context.progress.note(`  ${path} is line ${line}`);
    }
    throw error;
  }
}

const LISTS = { pair: "pairs", triplet: "triplets", label: "labels" } as const;

/** `/pairs/3/a` points to the fourth pair of the batch. */
function lineOf(path: string, batch: readonly FeedbackLine[]): number | undefined {
  const [, list, index] = path.split("/");
  return batch.filter((line) => LISTS[line.kind] === list)[Number(index)]?.line;
}

function submit({ client }: Context, collection: string, lines: readonly FeedbackLine[]): Promise<FeedbackResult> {
  const pairs = lines.flatMap((line) => (line.kind === "pair" ? [line.value] : []));
  const triplets = lines.flatMap((line) => (line.kind === "triplet" ? [line.value] : []));
  const labels = lines.flatMap((line) => (line.kind === "label" ? [line.value] : []));
  const body: FeedbackToSend = {
    ...(pairs.length > 0 && { pairs }),
    ...(triplets.length > 0 && { triplets }),
    ...(labels.length > 0 && { labels }),
  };
  return client.collection(collection).submitFeedback(body);
}

function add(total: FeedbackResult, part: FeedbackResult): void {
  total.accepted += part.accepted;
  total.ids.push(...part.ids);
  total.total = part.total;
  total.replaced += part.replaced;
  total.fineTune = part.fineTune ?? total.fineTune;
}
