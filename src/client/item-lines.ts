import { encodeItem, type ItemToSend } from "./contents.js";

/** Bytes gathered before they are sent: large enough that a write costs little, small enough that the server starts at once. */
const CHUNK_BYTES = 64 * 1024;

/** Items as newline-delimited JSON, in chunks. */
export async function* itemLines(items: AsyncIterable<ItemToSend> | Iterable<ItemToSend>): AsyncGenerator<Buffer> {
  let text = "";
  for await (const item of items) {
    text += `${JSON.stringify(encodeItem(item))}\n`;
    if (text.length < CHUNK_BYTES) continue;
    yield Buffer.from(text);
    text = "";
  }
  if (text !== "") yield Buffer.from(text);
}
