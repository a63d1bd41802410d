import type { ItemRecord } from "../../../storage/index.js";
import type { EncoderInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import { keptMemory } from "../../vector/index.js";
import { type CollectionState, SEQUENCE_KEY } from "../collection-state.js";
import type { EmbeddingSpace } from "../generations/embedding-space.js";
import { slices } from "../slices.js";
import { Checkpoints } from "./checkpoints.js";
import { ItemChanges, type ItemOperation, type ItemOutcome, idOf } from "./item-changes.js";
import type { LabelAllocator } from "./label-allocator.js";
import { type Outcome, WriteQueue } from "./write-queue.js";

/** Items in one commit: enough for many small writes to share an fsync, few enough that no step of it holds the thread for long. */
const COMMIT_ITEMS = 1024;

/**
 * The one path by which items change. A commit goes: rows to the files of the active generation, fsync; one Level batch (here the
 * write is acknowledged as durable); memory; index. What a crash leaves is what Level has.
 */
export class ItemWriter {
  private readonly queue: WriteQueue<ItemOperation, ItemOutcome>;
  private readonly checkpoints: Checkpoints;
  private closed = false;

  constructor(
    private readonly state: CollectionState,
    private readonly labels: LabelAllocator,
  ) {
    this.checkpoints = new Checkpoints(state);
    this.queue = new WriteQueue((operations) => this.commit(operations), COMMIT_ITEMS);
  }

  /** Resolves when the change is on disk and queries see it. @throws item_not_found, payload_too_large, shutting_down */
  async write(operation: ItemOperation): Promise<ItemOutcome> {
    if (this.closed) throw new AttuneError("shutting_down", "The collection is being closed; nothing more is written.");
    return this.queue.push(operation, operation.mutations.length);
  }

  /** Runs `section` while no write is in progress. */
  exclusive<T>(section: () => Promise<T>): Promise<T> {
    return this.queue.exclusive(section);
  }

  /** Refuses further writes, waits for those in progress, and saves the index if asked to. */
  async close(save = true): Promise<void> {
    this.closed = true;
    await this.queue.idle();
    await this.checkpoints.close(save);
  }

  private async commit(operations: ItemOperation[]): Promise<Outcome<ItemOutcome>[]> {
    const before = await this.readRecords(operations);
    const stored = await this.readRows(operations, before);
    const changes = new ItemChanges(
      {
        limits: this.state.rules.limits,
        before: (id) => before.get(id),
        sameVector: (label, vector) => stored.get(label)?.equals(bytesOf(vector)) ?? false,
        takeLabel: () => this.labels.take(),
      },
      this.state.sequence,
    );
    const outcomes: Outcome<ItemOutcome>[] = [];
    for (const operation of operations) {
      while (slices.over) await slices.next();
      outcomes.push(outcomeOf(changes, operation));
    }
    await this.storeRows(changes).catch((error: unknown) => {
      this.labels.giveBack(changes.contents.keys());
      throw error;
    });
    // A batch that fails may be on disk all the same (its fsync failed, say): its labels stay taken until the next start.
    await this.storeRecords(changes);
    try {
      await this.publish(changes, before);
    } finally {
      this.labels.giveBack(this.unused(changes));
    }
    return outcomes;
  }

  private async storeRows(changes: ItemChanges): Promise<void> {
    const { state } = this;
    const added = liveLabels(changes);
    if (added.length === 0) return;
    while (slices.over) await slices.next();
    const { active } = state;
    const rows = await this.embeddings(added, changes, active.space);
    await active.writeRows(added, rows);
    keptMemory.giveBack(rows);
    if (state.storage.durability === "fsync") await active.space.rows.sync();
  }

  private async storeRecords(changes: ItemChanges): Promise<void> {
    if (changes.records.size === 0) return;
    while (slices.over) await slices.next();
    const { storage, tables } = this.state;
    const operations = [...changes.records].map(([id, record]) =>
      record === undefined ? tables.items.delete(id) : tables.items.put(id, record),
    );
    await storage.write([...operations, tables.state.put(SEQUENCE_KEY, changes.sequence)]);
  }

  /** The write is durable and must show, whatever the index says. New points go in before old ones leave: no item is missing. */
  private async publish(changes: ItemChanges, before: Map<string, ItemRecord>): Promise<void> {
    if (changes.records.size === 0) return;
    const { active } = this.state;
    try {
      await active.add(liveLabels(changes));
    } finally {
      while (slices.over) await slices.next();
      const removed = this.show(changes, before);
      this.labels.setAside(removed);
      await active.remove(removed);
    }
    this.checkpoints.changed();
  }

  /** Makes a committed batch visible; returns the labels it freed. */
  private show(changes: ItemChanges, before: Map<string, ItemRecord>): Uint32Array {
    const { table, payloads, content } = this.state;
    const freed: number[] = [];
    for (const [id, record] of changes.records) {
      const old = before.get(id);
      if (old !== undefined && old.label !== record?.label) {
        freed.push(old.label);
        payloads.remove(old.label);
      }
      if (old?.image?.hash !== record?.image?.hash) {
        if (record?.image !== undefined) content.retain(record.image.hash);
        if (old?.image !== undefined) content.release(old.image.hash);
      }
      if (record === undefined) table.remove(id);
      else {
        table.set(id, record.label, record.contentSequence, record.payload !== null);
        payloads.set(record.label, record.payload);
      }
    }
    this.state.sequence = changes.sequence;
    this.state.active.sequence = changes.sequence;
    this.state.active.space.sequence = changes.sequence;
    return Uint32Array.from(freed);
  }

  private async readRecords(operations: ItemOperation[]): Promise<Map<string, ItemRecord>> {
    const { table, tables } = this.state;
    const known = new Set<string>();
    for (const { mutations } of operations) {
      for (const mutation of mutations) if (table.labelOf(idOf(mutation)) !== undefined) known.add(idOf(mutation));
    }
    const found = new Map<string, ItemRecord>();
    if (known.size === 0) return found;
    const ids = [...known];
    const records = await tables.items.getMany(ids);
    records.forEach((record, position) => {
      if (record !== undefined) found.set(ids[position] as string, record);
    });
    return found;
  }

  /** Stored base rows of the items to which vectors are put, to tell the same vector sent again. */
  private async readRows(operations: ItemOperation[], before: Map<string, ItemRecord>): Promise<Map<number, Buffer>> {
    const labels = new Set<number>();
    for (const { mutations } of operations) {
      for (const mutation of mutations) {
        if (mutation.kind !== "put" || mutation.content.vector === undefined) continue;
        const record = before.get(mutation.content.id);
        if (record !== undefined) labels.add(record.label);
      }
    }
    const order = [...labels];
    if (order.length === 0) return new Map();
    const bytes = bytesOf(await this.state.base.rows.read(order));
    const rowBytes = bytes.length / order.length;
    return new Map(order.map((label, i) => [label, bytes.subarray(i * rowBytes, (i + 1) * rowBytes)]));
  }

  /** Embeddings of new labels in `space`: those that came with the request, or made now. In memory to be given back. */
  private async embeddings(
    labels: Uint32Array,
    changes: ItemChanges,
    space: EmbeddingSpace,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { dimensions } = this.state.rules;
    const rows = keptMemory.takeFloats(labels.length * dimensions);
    const missing: { position: number; input: EncoderInput }[] = [];
    labels.forEach((label, position) => {
      const content = changes.contents.get(label);
      const known = content?.vector ?? (content?.embedded?.space === space ? content.embedded.row : undefined);
      if (known !== undefined) rows.set(known, position * dimensions);
      else missing.push({ position, input: content?.image?.bytes ?? content?.text ?? "" });
    });
    if (missing.length > 0) {
      // A switch has taken place since the request was embedded; or the item had this content when the request came, and was
      // changed by another before this commit.
      const inputs = missing.map(({ input }) => input);
      const encoded = await space.embedder.embed(inputs, "item");
      missing.forEach(({ position }, i) => {
        rows.set(encoded.subarray(i * dimensions, (i + 1) * dimensions), position * dimensions);
      });
    }
    return rows;
  }

  /** Labels taken by a batch that no item has: of requests that were refused, replaced within the batch, or not stored. */
  private unused(changes: ItemChanges): number[] {
    return [...changes.contents.keys()].filter((label) => this.state.table.idOf(label) === undefined);
  }
}

function outcomeOf(changes: ItemChanges, operation: ItemOperation): Outcome<ItemOutcome> {
  try {
    return { result: changes.apply(operation) };
  } catch (error) {
    return { error };
  }
}

function liveLabels(changes: ItemChanges): Uint32Array {
  const labels: number[] = [];
  for (const record of changes.records.values()) {
    if (record !== undefined && changes.contents.has(record.label)) labels.push(record.label);
  }
  return Uint32Array.from(labels).sort();
}

function bytesOf(rows: Float32Array): Buffer {
  return Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
}
