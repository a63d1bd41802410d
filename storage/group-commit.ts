import { reasonOf, StorageError } from "./errors.js";
import type { Operation } from "./operation.js";

/** The part of Level that a commit needs. */
export interface BatchWriter {
  batch(operations: Operation[], options: { sync: boolean }): Promise<void>;
}

/** A merged batch is closed once it has this many characters of values or operations: it bounds the latency of whoever stands in it. */
const MAX_BATCH_CHARACTERS = 8 << 20;
const MAX_BATCH_OPERATIONS = 20_000;

interface Entry {
  /** Absent for a task that runs alone. */
  operations?: Operation[];
  run?: () => Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Writes merged into as few synced batches as the disk allows: whoever comes while a batch is being written stands in the
 * next one. Order is kept; every caller resolves once its batch is on disk, and all callers of a batch that fails reject,
 * as does every later one.
 */
export class GroupCommit {
  readonly #writer: BatchWriter;
  readonly #sync: boolean;
  #queue: Entry[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;
  /** Set by a failed write: Level goes on in the torn log that it leaves, and loses all that follows the tear at the next start. */
  #torn: StorageError | undefined;

  constructor(writer: BatchWriter, sync: boolean) {
    this.#writer = writer;
    this.#sync = sync;
  }

  /** @throws write_failed, storage_closed */
  write(operations: Operation[]): Promise<void> {
    if (operations.length === 0 && !this.#closed) return Promise.resolve();
    return this.#enqueue({ operations });
  }

  /** Runs `task` when everything before it is written, and nothing else meanwhile. @throws storage_closed */
  exclusive(task: () => Promise<void>): Promise<void> {
    return this.#enqueue({ run: task });
  }

  /** Accepts nothing more and waits for what was accepted. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  #enqueue(entry: Pick<Entry, "operations" | "run">): Promise<void> {
    if (this.#closed)
      return Promise.reject(new StorageError("storage_closed", "The storage is closed: nothing more can be written."));
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...entry, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // Not at once: callers of the same turn of the event loop belong in one batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const entries = this.#takeBatch();
      try {
        await this.#commit(entries);
        for (const entry of entries) entry.resolve();
      } catch (error) {
        for (const entry of entries) entry.reject(error);
      }
    }
    this.#draining = undefined;
  }

  /** The entries for the next batch: one task, or writes up to the limits. */
  #takeBatch(): Entry[] {
    let count = 0;
    let operations = 0;
    let characters = 0;
    for (const entry of this.#queue) {
      if (entry.operations === undefined) {
        if (count === 0) count = 1;
        break;
      }
      count++;
      operations += entry.operations.length;
      for (const operation of entry.operations) characters += operation.type === "put" ? operation.value.length : 0;
      if (operations >= MAX_BATCH_OPERATIONS || characters >= MAX_BATCH_CHARACTERS) break;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(entries: Entry[]): Promise<void> {
    if (this.#torn !== undefined) throw this.#torn;
    const [first] = entries;
    if (first?.run !== undefined) return this.#runAlone(first.run);
    const operations =
      entries.length === 1 ? (first?.operations ?? []) : entries.flatMap((entry) => entry.operations ?? []);
    try {
      await this.#writer.batch(operations, { sync: this.#sync });
    } catch (error) {
      this.#torn = tornBy(error);
      throw new StorageError(
        "write_failed",
        `Level could not write a batch of ${operations.length} changes: ${reasonOf(error)}.`,
        { cause: error },
      );
    }
  }

  async #runAlone(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (typeof code === "string" && code.startsWith("LEVEL_")) this.#torn = tornBy(error);
      throw error;
    }
  }
}

function tornBy(cause: unknown): StorageError {
  return new StorageError(
    "write_failed",
    `Nothing more is written, since an earlier write failed: ${reasonOf(cause)}. Free the cause (a full disk), then restart.`,
    { cause },
  );
}
