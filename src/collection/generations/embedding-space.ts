import type { VectorFile } from "../../../storage/index.js";
import type { Embedder } from "../encoding/embedder.js";
import type { ItemTable } from "../items/item-table.js";
import type { ItemInputs } from "./item-inputs.js";

/** Contents encoded before it is noted how far the rows reach. */
const BLOCK = 256;

export type OnDone = (done: number, total: number) => void;

export interface SpaceParts {
  embedder: Embedder;
  rows: VectorFile;
  sequence: number;
  table: ItemTable;
  inputs: ItemInputs;
  /** Writes down how far the rows reach; they are on disk by then. */
  save(sequence: number): Promise<void>;
  /** Lets go of the encoder. */
  release?: () => Promise<void>;
}

/**
 * What one encoder makes of a collection: the encoder, and the file of its output for each item (row number = label). A collection
 * has one of its own encoder, in which generation 0 and every head live, and one of each tuned encoder. Writes fill the space of
 * the active generation and that one alone; the others fall behind, and `fill` lets them catch up before they are needed.
 */
export class EmbeddingSpace {
  readonly embedder: Embedder;
  readonly rows: VectorFile;
  /** The content of every item that was set up to this sequence is in `rows`. */
  sequence: number;

  constructor(private readonly parts: SpaceParts) {
    this.embedder = parts.embedder;
    this.rows = parts.rows;
    this.sequence = parts.sequence;
  }

  /**
   * Encodes what the collection has seen since `sequence`; `now` is the sequence that the table shows at the call. Goes by the age of
   * contents, so that after each block a sequence says how far it came, and whatever ends it loses one block.
   */
  async fill(now: number, onDone?: OnDone): Promise<void> {
    const { table } = this.parts;
    if (this.sequence >= now) return;
    const missing = Array.from(table.changedSince(this.sequence), (label) => ({
      label,
      sequence: table.contentSequenceOf(label),
    })).sort((a, b) => a.sequence - b.sequence);
    for (let first = 0; first < missing.length; first += BLOCK) {
      const block = missing.slice(first, first + BLOCK);
      await this.encode(block.map(({ label }) => label));
      await this.reach(block.at(-1)?.sequence ?? now);
      onDone?.(first + block.length, missing.length);
    }
    await this.reach(now);
  }

  /** Those of `labels` (ascending) that have a row: the last ones may have been deleted before `fill` came to them. */
  withRows(labels: Uint32Array): Uint32Array {
    const missing = labels.findIndex((label) => label >= this.rows.rows());
    return missing < 0 ? labels : labels.slice(0, missing);
  }

  /** Labels whose rows should be there and lie beyond the end of the file, which only a lost or cut file can cause. */
  lost(): number[] {
    const { table } = this.parts;
    const filled = (label: number) => table.contentSequenceOf(label) <= this.sequence;
    return [...table.live].filter((label) => label >= this.rows.rows() && filled(label));
  }

  /** Encodes items again. */
  async restore(labels: readonly number[]): Promise<void> {
    for (let first = 0; first < labels.length; first += BLOCK) await this.encode(labels.slice(first, first + BLOCK));
    await this.rows.sync();
  }

  async close(): Promise<void> {
    await this.rows.close();
    await this.parts.release?.();
  }

  private async encode(labels: readonly number[]): Promise<void> {
    for await (const part of this.parts.inputs.of(labels)) {
      await this.rows.write(part.labels, await this.embedder.embed(part.contents, "item"));
    }
  }

  private async reach(sequence: number): Promise<void> {
    await this.rows.sync();
    await this.parts.save(sequence);
    this.sequence = sequence;
  }
}
