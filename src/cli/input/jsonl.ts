import { type FieldMap, mapFields } from "./field-map.js";
import type { InputRecord } from "./input-record.js";

const NEWLINE = 0x0a;

/** Reads JSON lines from a byte stream; blank lines are skipped. With a field map, items are made of the fields it names. */
export async function* readJsonLines(stream: AsyncIterable<Buffer>, fields?: FieldMap): AsyncGenerator<InputRecord> {
  let line = 0;
  let bytes = 0;
  for await (const buffer of splitLines(stream)) {
    line += 1;
    bytes += buffer.length + 1;
    const text = buffer
      .toString("utf8")
      .replace(/^\ufeff/, "")
      .trim();
    if (text !== "") yield { line, bytes, ...readLine(text, line, fields) };
  }
}

function readLine(text: string, line: number, fields: FieldMap | undefined): Pick<InputRecord, "item" | "problem"> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { problem: "expected a JSON object" };
  const record = value as Record<string, unknown>;
  return fields === undefined ? { item: record } : mapFields(record, fields, line);
}

async function* splitLines(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      start = end + 1;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}
