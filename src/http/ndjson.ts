import type { GivenItem } from "../collection/index.js";
import { AttuneError } from "../errors/index.js";
import { parseJsonWithVectors, placeVectors } from "./json-vectors.js";

/** One line of an import: an item, or why it is none. `line` counts from 1, blank lines included. */
export interface ItemLine {
  line: number;
  item?: GivenItem;
  error?: AttuneError;
}

/** Returns the value when it is an item. @throws validation_failed */
export type ItemCheck = (value: unknown) => GivenItem;

const NEWLINE = 0x0a;

/**
 * Reads items from a byte stream of newline-delimited JSON, one at a time, so that a slow consumer holds the sender back.
 * Blank lines are skipped. A line longer than `maxLineBytes` is reported and never held in memory whole. When the sender
 * goes away, the lines it completed are yielded and the unfinished last one is dropped.
 */
export async function* readItemLines(
  stream: AsyncIterable<Buffer>,
  check: ItemCheck,
  maxLineBytes: number,
): AsyncGenerator<ItemLine> {
  let number = 0;
  for await (const bytes of splitLines(stream, maxLineBytes)) {
    number += 1;
    if (bytes !== undefined && isBlank(bytes)) continue;
    yield readLine(number, bytes, check, maxLineBytes);
  }
}

function readLine(line: number, bytes: Buffer | undefined, check: ItemCheck, maxLineBytes: number): ItemLine {
  if (bytes === undefined) {
    const message = `The line is longer than ${maxLineBytes} bytes, the most that one item may take.`;
    return { line, error: new AttuneError("body_too_large", message) };
  }
  try {
    const { value, placements } = parseJsonWithVectors(bytes);
    const item = check(value);
    placeVectors(placements);
    return { line, item };
  } catch (error) {
    if (error instanceof AttuneError) return { line, error };
    throw error;
  }
}

/** Yields each line without its newline; undefined stands for a line that was too long. */
async function* splitLines(stream: AsyncIterable<Buffer>, maxLineBytes: number): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (last: Buffer): Buffer | undefined => {
    const line = length + last.length > maxLineBytes ? undefined : Buffer.concat([...parts, last]);
    parts = [];
    length = 0;
    return line;
  };
  try {
    for await (const chunk of stream) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        yield take(chunk.subarray(start, end));
        start = end + 1;
      }
      length += chunk.length - start;
      if (length > maxLineBytes) parts = [];
      else if (start < chunk.length) parts.push(chunk.subarray(start));
    }
  } catch (error) {
    if (isDisconnect(error)) return;
    throw error;
  }
  if (length > 0) yield take(Buffer.alloc(0));
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function isDisconnect(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ECONNRESET" || code === "ERR_STREAM_PREMATURE_CLOSE" || code === "HPE_INVALID_EOF_STATE";
}
