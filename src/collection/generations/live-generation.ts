import type { VectorFile } from "../../../storage/index.js";
import { Bitmap, type VectorIndex } from "../../index/index.js";
import type { ItemTable } from "../items/item-table.js";
import type { Head } from "./head.js";

/** Rows embedded at once: 2,048 x 512 float32 are 4 MiB. */
const BLOCK = 2048;

export type OnDone = (done: number, total: number) => void;

/**
 * One open generation: its head, its row file and its index. Whoever reads holds it by `use`; `retire` lets those who are
 * in it finish, and only then closes it, so that a query ends in the generation in which it began.
 */
export class LiveGeneration {
  private users = 0;
  private retired: (() => void) | undefined;
  private readonly indexed: Bitmap;
  /** Items changed up to this sequence are in the rows and in the index. */
  sequence: number;
  /** The sequence of the last snapshot on disk. */
  checkpointed: number;

  constructor(
    readonly number: number,
    private readonly head: Head | undefined,
    private readonly base: VectorFile,
    /** The file that the index reads: the base rows themselves when there is no head. */
    readonly rows: VectorFile,
    readonly index: VectorIndex,
    labels: Uint32Array,
    sequence: number,
    checkpointed: number,
  ) {
    this.indexed = Bitmap.of(labels);
    this.sequence = sequence;
    this.checkpointed = checkpointed;
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

  /** Base rows to rows of this generation. */
  project(base: Float32Array): Promise<Float32Array> {
    return this.head === undefined ? Promise.resolve(base) : this.head.apply(base);
  }

  /** Writes the rows of new labels, given their base rows; the base file has them already. */
  async writeRows(labels: Uint32Array, base: Float32Array): Promise<void> {
    if (this.head !== undefined && labels.length > 0) await this.rows.write(labels, await this.head.apply(base));
  }

  async add(labels: Uint32Array): Promise<void> {
    if (labels.length === 0) return;
    await this.index.add(labels);
    for (const label of labels) this.indexed.set(label);
  }

  async remove(labels: Uint32Array): Promise<void> {
    if (labels.length === 0) return;
    for (const label of labels) this.indexed.clear(label);
    await this.index.remove(labels);
  }

  /** Brings in what the collection has seen since `this.sequence`; `now` is the sequence that `table` shows. */
  async catchUp(table: ItemTable, now: number, onDone?: OnDone): Promise<void> {
    const changed = table.changedSince(this.sequence);
    const gone = Uint32Array.from(this.indexed.clone().andNot(table.live));
    await embedRows(changed, this.base, this.head, this.rows, onDone);
    await this.add(changed);
    await this.remove(gone);
    this.sequence = now;
  }

  /** Writes rows and index to disk as they are at `this.sequence`. */
  async checkpoint(): Promise<void> {
    const sequence = this.sequence;
    await this.rows.sync();
    await this.index.snapshot(sequence);
    this.checkpointed = sequence;
  }

  /** Waits for those who use it, then closes what it holds. */
  async retire(): Promise<void> {
    if (this.users > 0) {
      await new Promise<void>((resolve) => {
        this.retired = resolve;
      });
    }
    await this.index.close();
    await this.head?.close();
    if (this.rows !== this.base) await this.rows.close();
  }
}

/** Applies `head` to the base rows of `labels`, block by block, into `rows`; nothing to do without a head. */
export async function embedRows(
  labels: Uint32Array,
  base: VectorFile,
  head: Head | undefined,
  rows: VectorFile,
  onDone?: OnDone,
): Promise<void> {
  if (head === undefined) return;
  for (let first = 0; first < labels.length; first += BLOCK) {
    const block = labels.subarray(first, first + BLOCK);
    await rows.write(block, await head.apply(await base.read(block)));
    onDone?.(Math.min(first + BLOCK, labels.length), labels.length);
  }
}
