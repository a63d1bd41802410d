import { Bitmap, type VectorIndex } from "../../index/index.js";
import type { ItemTable } from "../items/item-table.js";

/** An index, the labels it holds, and the sequence up to which it has followed the collection. */
export class IndexedItems {
  labels: Bitmap;

  constructor(
    readonly index: VectorIndex,
    labels: Uint32Array,
    /** Items changed up to this sequence are in the index. */
    public sequence: number,
  ) {
    this.labels = Bitmap.of(labels);
  }

  async add(labels: Uint32Array): Promise<void> {
    if (labels.length === 0) return;
    await this.index.add(labels);
    for (const label of labels) this.labels.set(label);
  }

  async remove(labels: Uint32Array): Promise<void> {
    if (labels.length === 0) return;
    for (const label of labels) this.labels.clear(label);
    await this.index.remove(labels);
  }

  /** Labels it holds that no item has any more. */
  gone(table: ItemTable): Uint32Array {
    return Uint32Array.from(this.labels.clone().andNot(table.live));
  }

  /** Brings in what the collection has seen since, where the rows are written already; `now` is the sequence that `table` shows. */
  async follow(table: ItemTable, now: number): Promise<void> {
    const news = table.changedSince(this.sequence);
    const gone = this.gone(table);
    await this.add(news);
    await this.remove(gone);
    this.sequence = now;
  }
}
