import type { Readable } from "node:stream";
import { type CsvError, type InfoRecord, parse } from "csv-parse";
import { UsageError } from "../exit-codes.js";
import { type FieldMap, mapFields } from "./field-map.js";
import type { InputRecord } from "./input-record.js";

interface CsvRow {
  record: Record<string, string>;
  info: InfoRecord;
}

/**
 * Reads CSV with a header line. A record that is not well-formed (too many fields, a quote in the wrong place) is
 * reported and skipped; as the parser reads ahead, its problem may come before the records above it.
 * @param delimiter one character. @default ","
 * @throws UsageError when the header lacks a column that the map names.
 */
export async function* readCsv(stream: Readable, fields: FieldMap, delimiter = ","): AsyncGenerator<InputRecord> {
  const problems: InputRecord[] = [];
  let lastProblem: number | undefined;
  const parser = parse({
    bom: true,
    columns: (header: string[]) => checkHeader(header, fields),
    delimiter,
    info: true,
    on_skip: (error) => {
      const problem = error === undefined ? undefined : problemOf(error);
      // One bad record may be reported for each of its bad fields.
      if (problem !== undefined && problem.line !== lastProblem) problems.push(problem);
      lastProblem = problem?.line;
      return undefined;
    },
    skip_empty_lines: true,
    skip_records_with_error: true,
  });
  stream.on("error", (error) => parser.destroy(error));
  stream.pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRow>) {
      yield* problems.splice(0);
      const line = firstLine(record, info);
      yield { line, bytes: info.bytes, ...mapFields(record, fields, line) };
    }
    yield* problems.splice(0);
  } finally {
    stream.destroy();
  }
}

/** csv-parse tells the line where a record ends. */
function firstLine(record: Record<string, string>, info: InfoRecord): number {
  const inside = Object.values(record).reduce((sum, value) => sum + value.split("\n").length - 1, 0);
  return info.lines - inside;
}

function problemOf(error: CsvError): InputRecord {
  const place = error as CsvError & { lines?: number; bytes?: number };
  return { line: place.lines ?? 0, bytes: place.bytes ?? 0, problem: error.message };
}

function checkHeader(header: string[], fields: FieldMap): string[] {
  const id = fields.id === "line" ? [] : [fields.id.field];
  const wanted = [...id, fields.content.field, ...(fields.payload ?? []), ...fields.numbers];
  const missing = wanted.filter((name) => !header.includes(name));
  if (missing.length === 0) return header;
  throw new UsageError(
    `no column ${quoteAll(missing)}; the file has ${quoteAll(header)}. Name the columns with --id-field, --text-field or ` +
      "--vector-field, and --payload-fields; --line-ids takes the line's number as id.",
  );
}

function quoteAll(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
