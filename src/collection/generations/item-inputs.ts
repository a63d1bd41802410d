import type { ContentStore } from "../../../storage/index.js";
import type { EncoderInput } from "../../encoder/index.js";
import type { Tables } from "../collection-state.js";
import type { ItemTable } from "../items/item-table.js";

/** Bytes of contents in one part, unless one content alone has more: a block of photographs would take gigabytes. */
const PART_BYTES = 16 * 1024 * 1024;

/** What stands behind some labels, as an encoder reads it. */
export interface LabelledInputs {
  labels: number[];
  contents: EncoderInput[];
}

/** Reads what items hold, for the encoder. */
export class ItemInputs {
  constructor(
    private readonly tables: Tables,
    private readonly table: ItemTable,
    private readonly content: ContentStore,
  ) {}

  /** Contents of the live items under `labels`, part by part; what was deleted or replaced meanwhile is left out. */
  async *of(labels: readonly number[]): AsyncGenerator<LabelledInputs> {
    const wanted = new Set(labels);
    let part: LabelledInputs = { labels: [], contents: [] };
    let bytes = 0;
    // The file of an image that is replaced while this reads is there to the end.
    const done = this.content.keep();
    try {
      const ids = labels.flatMap((label) => this.table.idOf(label) ?? []);
      for (const record of await this.tables.items.getMany(ids)) {
        if (record === undefined || !wanted.has(record.label)) continue;
        const input = record.text ?? (record.image && (await this.content.read(record.image.hash)));
        if (input === undefined) continue;
        part.labels.push(record.label);
        part.contents.push(input);
        bytes += input.length;
        if (bytes < PART_BYTES) continue;
        yield part;
        part = { labels: [], contents: [] };
        bytes = 0;
      }
      if (part.labels.length > 0) yield part;
    } finally {
      done();
    }
  }
}
