import type { ContentStore } from "../../../storage/index.js";
import type { EncoderInput } from "../../encoder/index.js";
import type { Tables } from "../collection-state.js";
import type { ItemTable } from "../items/item-table.js";

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

  /** Contents of the live items under `labels`; what was deleted or replaced meanwhile is left out. */
  async of(labels: readonly number[]): Promise<LabelledInputs> {
    const wanted = new Set(labels);
    const found: LabelledInputs = { labels: [], contents: [] };
    // The file of an image that is replaced while this reads is there to the end.
    const done = this.content.keep();
    try {
      const ids = labels.flatMap((label) => this.table.idOf(label) ?? []);
      for (const record of await this.tables.items.getMany(ids)) {
        if (record === undefined || !wanted.has(record.label)) continue;
        const input = record.text ?? (record.image && (await this.content.read(record.image.hash)));
        if (input === undefined) continue;
        found.labels.push(record.label);
        found.contents.push(input);
      }
      return found;
    } finally {
      done();
    }
  }
}
