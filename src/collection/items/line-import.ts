import type { ItemInput, StreamResult } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { type ContentRules, type ItemContent, readItem } from "./item-content.js";

/** One line of a stream: an item, or why it is none. Line 1 is the first. */
export interface Line {
  line: number;
  item?: ItemInput;
  error?: AttuneError;
}

/** Items stored in one write: enough to keep encoder and disk busy, little enough to hold in memory. */
const CHUNK = 512;
const REPORTED_ERRORS = 100;

/** Stores a stream of items chunk by chunk; the next chunk is read while one is being stored, and no further. */
export class LineImport {
  private readonly result: Omit<StreamResult, "generation"> = { upserted: 0, failed: 0, errors: [] };
  private chunk = new Map<string, ItemContent>();
  private chunkLines = 0;
  private storing: Promise<void> = Promise.resolve();

  constructor(
    private readonly rules: ContentRules,
    private readonly store: (contents: ItemContent[]) => Promise<void>,
  ) {}

  async run(lines: AsyncIterable<Line>): Promise<Omit<StreamResult, "generation">> {
    try {
      for await (const line of lines) {
        this.read(line);
        if (this.chunkLines >= CHUNK) await this.flush();
      }
    } finally {
      // What came before a broken connection is stored all the same.
      await this.flush();
      await this.storing;
    }
    return this.result;
  }

  private read({ line, item, error }: Line): void {
    try {
      if (error !== undefined) throw error;
      if (item === undefined) throw new AttuneError("malformed_json", "The line holds no item.");
      const content = readItem(item, this.rules);
      // The same id again within a chunk: the later line holds, as it would in two chunks.
      this.chunk.delete(content.id);
      this.chunk.set(content.id, content);
      this.chunkLines++;
    } catch (refusal) {
      if (!(refusal instanceof AttuneError)) throw refusal;
      this.result.failed++;
      if (this.result.errors.length < REPORTED_ERRORS) {
        this.result.errors.push({ line, code: refusal.code, detail: refusal.message });
      }
    }
  }

  private async flush(): Promise<void> {
    const contents = [...this.chunk.values()];
    const lines = this.chunkLines;
    this.chunk = new Map();
    this.chunkLines = 0;
    await this.storing;
    if (contents.length === 0) return;
    this.storing = this.store(contents).then(() => {
      this.result.upserted += lines;
    });
    // Awaited before the next chunk is stored; until then a failure must not count as unhandled.
    this.storing.catch(() => {});
  }
}
