import type { StreamResult } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import type { GivenItem } from "./given.js";
import { type ContentRules, type ItemContent, readItem } from "./item-content.js";
import type { Refusal } from "./item-embedding.js";

/** One line of a stream: an item, or why it is none. Line 1 is the first. */
export interface Line {
  line: number;
  item?: GivenItem;
  error?: AttuneError;
}

/** Items stored in one write: enough to keep encoder and disk busy, little enough to hold in memory. */
const CHUNK = 512;
/** The same for images, by the bytes of their files; one that is larger goes alone. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const REPORTED_ERRORS = 100;

interface Numbered {
  line: number;
  content: ItemContent;
}

/** Stores a stream of items chunk by chunk; the next chunk is read while one is being stored, and no further. */
export class LineImport {
  private readonly result: Omit<StreamResult, "generation"> = { upserted: 0, failed: 0, errors: [] };
  private chunk = new Map<string, Numbered>();
  private chunkLines = 0;
  private chunkBytes = 0;
  private storing: Promise<void> = Promise.resolve();

  constructor(
    private readonly rules: ContentRules,
    /** Stores what can be stored and tells what cannot. */
    private readonly store: (contents: ItemContent[]) => Promise<Refusal[]>,
  ) {}

  async run(lines: AsyncIterable<Line>): Promise<Omit<StreamResult, "generation">> {
    try {
      for await (const line of lines) {
        const content = this.read(line);
        if (content === undefined) continue;
        // Whether an image is refused shows when it is stored: the one before it must be stored by then.
        if (content.image !== undefined && this.chunk.has(content.id)) await this.flush();
        this.add(line.line, content);
        if (this.chunkLines >= CHUNK || this.chunkBytes >= CHUNK_BYTES) await this.flush();
      }
    } finally {
      // What came before a broken connection is stored all the same.
      await this.flush();
      await this.storing;
    }
    this.result.errors.sort((a, b) => a.line - b.line);
    return this.result;
  }

  private read({ line, item, error }: Line): ItemContent | undefined {
    try {
      if (error !== undefined) throw error;
      if (item === undefined) throw new AttuneError("malformed_json", "The line holds no item.");
      return readItem(item, this.rules);
    } catch (refusal) {
      if (!(refusal instanceof AttuneError)) throw refusal;
      this.refuse(line, refusal);
      return undefined;
    }
  }

  private add(line: number, content: ItemContent): void {
    // The same id again within a chunk: the later line holds, as it would in two chunks.
    this.chunk.delete(content.id);
    this.chunk.set(content.id, { line, content });
    this.chunkLines++;
    this.chunkBytes += content.image?.bytes.length ?? 0;
  }

  private refuse(line: number, { code, message }: AttuneError): void {
    this.result.failed++;
    if (this.result.errors.length < REPORTED_ERRORS) this.result.errors.push({ line, code, detail: message });
  }

  private async flush(): Promise<void> {
    const numbered = [...this.chunk.values()];
    const lines = this.chunkLines;
    this.chunk = new Map();
    this.chunkLines = 0;
    this.chunkBytes = 0;
    await this.storing;
    if (numbered.length === 0) return;
    this.storing = this.store(numbered.map(({ content }) => content)).then((refused) => {
      this.result.upserted += lines - refused.length;
      for (const { position, error } of refused) this.refuse(numbered[position]?.line ?? 0, error);
    });
    // Awaited before the next chunk is stored; until then a failure must not count as unhandled.
    this.storing.catch(() => {});
  }
}
