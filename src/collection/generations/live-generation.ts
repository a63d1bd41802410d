import type { VectorFile } from "../../../storage/index.js";
import type { EncoderInput } from "../../encoder/index.js";
import { ReplaceableIndex, type VectorIndex } from "../../index/index.js";
import type { ItemTable } from "../items/item-table.js";
import type { EmbeddingSpace, OnDone } from "./embedding-space.js";
import type { OpenedIndex } from "./generation-index.js";
import type { Head } from "./head.js";
import { IndexedItems } from "./indexed-items.js";

/** Rows that a head is applied to at once: 2,048 x 512 float32 are 4 MiB. */
const BLOCK = 2048;

export interface GenerationParts {
  number: number;
  space: EmbeddingSpace;
  /** Whether the space ends with this generation. */
  ownSpace: boolean;
  head: Head | undefined;
  /** The file that the index reads: the rows of the space where there is no head. */
  rows: VectorFile;
  opened: OpenedIndex;
  /** Labels in the index. */
  labels: Uint32Array;
  sequence: number;
}

/**
 * One open generation: the embedding space it is in, its head, its row file and its index. Whoever reads holds it by `use`; `retire` lets those who are
 * in it finish, and only then closes it, so that a query ends in the generation in which it began.
 */
export class LiveGeneration {
  private users = 0;
  private retired: (() => void) | undefined;
  private readonly indexed: IndexedItems;
  private readonly replaceable: ReplaceableIndex;
  /** What efSearch is multiplied by, while the index is provisional. */
  private breadth: number;
  /** The sequence of the last snapshot on disk. */
  checkpointed: number;
  /** Rows that it lacks although they were written before: the graph had not come to them. */
  unbuilt: number;

  readonly number: number;
  readonly space: EmbeddingSpace;
  readonly rows: VectorFile;

  constructor(private readonly parts: GenerationParts) {
    this.number = parts.number;
    this.space = parts.space;
    this.rows = parts.rows;
    this.replaceable = new ReplaceableIndex(parts.opened.index);
    this.indexed = new IndexedItems(this.replaceable, parts.labels, parts.sequence);
    this.breadth = parts.opened.breadth;
    this.checkpointed = parts.opened.saved;
    this.unbuilt = parts.opened.unbuilt ?? 0;
  }

  get index(): VectorIndex {
    return this.replaceable;
  }

  /** Items changed up to this sequence are in the rows and in the index. */
  get sequence(): number {
    return this.indexed.sequence;
  }

  set sequence(sequence: number) {
    this.indexed.sequence = sequence;
  }

  /** The efSearch that finds what `efSearch` is to find. */
  widened(efSearch: number): number {
    return Math.ceil(efSearch * this.breadth);
  }

  /**
   * From this call on `next` answers in place of the index until now, which is closed when its last search has ended. Between two writes.
   * @param saved the sequence of the snapshot of `next` on disk
   */
  replaceIndex(next: IndexedItems, saved: number): Promise<void> {
    this.indexed.labels = next.labels;
    this.breadth = 1;
    this.checkpointed = saved;
    this.unbuilt = 0;
    return this.replaceable.replace(next.index);
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    this.users++;
    try {
      return await work();
    } finally {
      this.users--;
      if (this.users === 0) this.retired?.();
    }
  }

  /** Whether its index answers; one whose thread has died never does again. */
  alive(): Promise<boolean> {
    return this.use(() =>
      this.index.status().then(
        () => true,
        () => false,
      ),
    );
  }

  /** Embeddings of its space to rows of this generation. */
  async project(embeddings: Float32Array): Promise<Float32Array> {
    return this.parts.head === undefined ? embeddings : this.parts.head.apply(embeddings);
  }

  /** Rows of this generation for contents that are asked for. @throws no_encoder */
  async embedQueries(inputs: readonly EncoderInput[]): Promise<Float32Array> {
    return this.project(await this.space.embedder.embed(inputs, "query"));
  }

  /** Writes the rows of new labels, given their embeddings: those of the space, and those that its head makes of them. */
  async writeRows(labels: Uint32Array, embeddings: Float32Array): Promise<void> {
    await this.space.rows.write(labels, embeddings);
    if (this.parts.head !== undefined) await this.rows.write(labels, await this.parts.head.apply(embeddings));
  }

  add(labels: Uint32Array): Promise<void> {
    return this.indexed.add(labels);
  }

  remove(labels: Uint32Array): Promise<void> {
    return this.indexed.remove(labels);
  }

  /** Brings in what the collection has seen since `this.sequence`; `now` is the sequence that `table` shows. */
  async catchUp(table: ItemTable, now: number, onDone?: OnDone): Promise<void> {
    const news = table.changedSince(this.sequence);
    const gone = this.indexed.gone(table);
    await this.space.fill(now, onDone);
    // What was deleted meanwhile may have no row, or an empty one: the next time it is gone.
    const changed = this.space.withRows(news);
    await applyHead(this.parts.head, changed, this.space.rows, this.rows, onDone);
    await this.add(changed);
    await this.remove(gone);
    this.sequence = now;
  }

  /** Writes rows and index to disk as they are at `this.sequence`, where that is not what lies there. */
  async checkpoint(): Promise<void> {
    const { sequence } = this;
    await this.rows.sync();
    if (sequence === this.checkpointed && this.unbuilt === 0) return;
    const { lag } = await this.index.status();
    await this.index.snapshot(sequence);
    this.checkpointed = sequence;
    this.unbuilt = lag;
  }

  /** Waits for those who use it, then closes what it holds. */
  async retire(): Promise<void> {
    if (this.users > 0) {
      await new Promise<void>((resolve) => {
        this.retired = resolve;
      });
    }
    const { head, ownSpace } = this.parts;
    await this.index.close();
    await head?.close();
    if (this.rows !== this.space.rows) await this.rows.close();
    if (ownSpace) await this.space.close();
  }
}

/** Applies `head` to the embeddings of `labels`, block by block, into `rows`; nothing to do without a head. */
export async function applyHead(
  head: Head | undefined,
  labels: Uint32Array,
  embeddings: VectorFile,
  rows: VectorFile,
  onDone?: OnDone,
): Promise<void> {
  if (head === undefined) return;
  for (let first = 0; first < labels.length; first += BLOCK) {
    const block = labels.subarray(first, first + BLOCK);
    await rows.write(block, await head.apply(await embeddings.read(block)));
    onDone?.(Math.min(first + BLOCK, labels.length), labels.length);
  }
}
