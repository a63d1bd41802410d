import { Command, Option } from "commander";
import { type Context, makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { EXIT, type SetExitCode, UsageError } from "../exit-codes.js";
import { type ImportSummary, importRecords } from "../import-records.js";
import { readCsv } from "../input/csv.js";
import type { FieldMap } from "../input/field-map.js";
import { findImageFolder, readImageFolder } from "../input/image-folder.js";
import { defaultStateFile, type ImportState, readImportState } from "../input/import-state.js";
import type { InputRecord } from "../input/input-record.js";
import { readJsonLines } from "../input/jsonl.js";
import { findSource, isFolder, type Origin, type Source } from "../input/source.js";
import { integer, names } from "../option-parsers.js";
import { formatCount, formatDuration, formatRate } from "../terminal/format.js";

interface ImportOptions extends ServerOptions {
  collection: string;
  create?: boolean;
  format?: "jsonl" | "csv";
  idField?: string;
  lineIds?: boolean;
  textField?: string;
  vectorField?: string;
  payloadFields?: string[];
  numberFields?: string[];
  delimiter: string;
  batch: number;
  resume?: boolean;
  state?: string;
}

const EXAMPLE = `
Examples:
  attune import notes.jsonl --collection notes --create
  attune import products.csv --collection products --id-field sku --text-field title --number-fields price
  zcat big.jsonl.gz | attune import - --collection big --state big.state --resume
  attune import photos/ --collection photos --create

Of a folder, every image file below it becomes an item: its id is its path, and its payload holds the path and the name of the folder
that the file is in. A line of JSONL is an item: {"id": "1", "text": "a note", "payload": {"lang": "en"}}. With field options, lines may be any
objects. An import that was stopped goes on after the last acknowledged line or file with --resume.`;

export function importCommand(setExitCode: SetExitCode): Command {
  const command = new Command("import")
    .description("Insert or replace items from a JSONL or CSV file, from a pipe, or from a folder of images.")
    .argument("<file>", "the file or folder; - is standard input")
    .requiredOption("-c, --collection <name>", "the collection")
    .option("--create", "make a collection of that name first, if there is none: of texts, or for a folder of images")
    .addOption(new Option("--format <format>", "default: by the file's name").choices(["jsonl", "csv"]))
    .option("--id-field <field>", "field or column of the id (default: id)")
    .option("--line-ids", "the line's number is the id")
    .option("--text-field <field>", "field or column of the text (default: text)")
    .option("--vector-field <field>", "field or column of the vector: a JSON array or base64")
    .option("--payload-fields <fields>", "fields of the payload, separated by commas (default: all others)", names)
    .option("--number-fields <fields>", "fields whose text is read as a number", names)
    .option("--delimiter <character>", "between CSV columns", ",")
    .option("--batch <lines>", "lines of a request", integer(1, 100_000), 500)
    .option("--resume", "go on after the last acknowledged line of the import that was stopped")
    .option("--state <file>", "where the progress is noted (default: in the user's state folder; none for a pipe)");
  return withServerOptions(command)
    .addHelpText("after", EXAMPLE)
    .action((file: string, options: ImportOptions) => run(file, options, setExitCode));
}

async function run(file: string, options: ImportOptions, setExitCode: SetExitCode): Promise<void> {
  const context = makeContext(options);
  const summary = isFolder(file)
    ? await importFolder(context, file, options)
    : await importFile(context, file, options);
  context.print(summary, "");
  setExitCode(exitCodeOf(summary));
}

async function importFile(context: Context, file: string, options: ImportOptions): Promise<ImportSummary> {
  const source = findSource(file);
  const records = openRecords(source, options);
  const stateFile = stateFileOf(source, options);
  const start = startingPoint(context, source, options, stateFile);
  if (options.create === true) await context.client.createCollection(options.collection, { modality: "text" });
  const summary = await importRecords(context, { records, source, start, stateFile, batch: options.batch });
  context.progress.end(describe(summary, source));
  return summary;
}

async function importFolder(context: Context, directory: string, options: ImportOptions): Promise<ImportSummary> {
  if (options.format !== undefined || fieldMapOf(options) !== undefined) {
    throw new UsageError(
      "--format and field options are for files; of a folder, an item's id is the path of its image",
    );
  }
  const source = findImageFolder(directory);
  if (source.others > 0) context.progress.note(`${formatCount(source.others)} files that are no images are left out`);
  const stateFile = stateFileOf(source, options);
  const start = startingPoint(context, source, options, stateFile);
  if (options.create === true) await context.client.createCollection(options.collection, { modality: "image" });
  const summary = await importRecords(context, {
    records: () => readImageFolder(source, start.line),
    source,
    fileOf: (line) => source.files[line - 1]?.path,
    start,
    stateFile,
    batch: options.batch,
  });
  context.progress.end(describe(summary, source));
  return summary;
}

function openRecords(source: Source, options: ImportOptions): () => AsyncGenerator<InputRecord> {
  const format = options.format ?? (source.name.toLowerCase().endsWith(".csv") ? "csv" : "jsonl");
  const fields = fieldMapOf(options);
  if (format === "csv") return () => readCsv(source.open(), fields ?? DEFAULT_FIELDS, options.delimiter);
  return () => readJsonLines(source.open(), fields);
}

const DEFAULT_FIELDS: FieldMap = {
  id: { field: "id" },
  content: { kind: "text", field: "text" },
  numbers: [],
};

/** Undefined when no field option was given. */
function fieldMapOf(options: ImportOptions): FieldMap | undefined {
  const { idField, lineIds, textField, vectorField, payloadFields, numberFields } = options;
  if (textField !== undefined && vectorField !== undefined) {
    throw new UsageError("expected --text-field or --vector-field, not both");
  }
  if (idField !== undefined && lineIds === true) throw new UsageError("expected --id-field or --line-ids, not both");
  const given = [idField, lineIds, textField, vectorField, payloadFields, numberFields].some(
    (value) => value !== undefined,
  );
  if (!given) return undefined;
  return {
    id: lineIds === true ? "line" : { field: idField ?? "id" },
    content:
      vectorField === undefined ? { kind: "text", field: textField ?? "text" } : { kind: "vector", field: vectorField },
    payload: payloadFields,
    numbers: numberFields ?? [],
  };
}

function stateFileOf(source: Origin, options: ImportOptions): string | undefined {
  if (options.state !== undefined) return options.state;
  if (source.name !== "-") return defaultStateFile(options.url, options.collection, source.name);
  if (options.resume === true)
    throw new UsageError("a pipe can be resumed only with --state FILE (the same on each run)");
  return undefined;
}

function startingPoint(
  context: Context,
  source: Origin,
  options: ImportOptions,
  stateFile: string | undefined,
): ImportState {
  const fresh: ImportState = {
    version: 1,
    url: options.url,
    collection: options.collection,
    file: source.name,
    head: source.head,
    line: 0,
    upserted: 0,
    failed: 0,
  };
  const earlier = stateFile === undefined ? undefined : readImportState(stateFile);
  if (earlier === undefined) return fresh;
  if (options.resume !== true) {
    context.progress.note(
      `an earlier import of this stopped after ${source.unit} ${earlier.line}; --resume would go on there`,
    );
    return fresh;
  }
  if (earlier.collection !== fresh.collection || earlier.head !== fresh.head) {
    throw new UsageError(
      "the file or folder, or the collection, is another one than when the import was stopped; leave --resume out",
    );
  }
  context.progress.note(`going on after ${source.unit} ${formatCount(earlier.line)}`);
  return { ...fresh, line: earlier.line, upserted: earlier.upserted, failed: earlier.failed };
}

function describe(summary: ImportSummary, { unit }: Origin): string {
  const { upserted, failed, line, elapsedMs, rate } = summary;
  const counts = `${formatCount(upserted)} items in${failed === 0 ? "" : `, ${formatCount(failed)} ${unit}s refused`}`;
  const speed = `${formatDuration(elapsedMs)}${rate === undefined ? "" : ` (${formatRate(rate)})`}`;
  return summary.stopped
    ? `stopped after ${unit} ${formatCount(line)}: ${counts}, ${speed}; go on with --resume`
    : `imported: ${counts}, ${speed}`;
}

function exitCodeOf(summary: ImportSummary): number {
  if (summary.stopped) return EXIT.interrupted;
  return summary.failed > 0 ? EXIT.failure : EXIT.ok;
}
