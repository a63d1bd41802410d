import { reasonOf } from "./errors.js";
import type { BatchWriter } from "./group-commit.js";
import { type Database, writeBatch } from "./level.js";
import type { Operation } from "./operation.js";

/** Less than this is not worth a compaction. */
const MIN_WRITTEN_BYTES = 1 << 20;
/** Above this much data Level's own compaction keeps overwritten records to a small share. */
const MAX_LIVE_BYTES = 64 << 20;

/**
 * Compacts a small database each time as much has been written as it holds. Left alone, Level lets overwritten records lie until some
 * 20 MB have come together, several times the size of a small collection. Costs at most as many bytes again as are written.
 */
export class CompactingWriter implements BatchWriter {
  readonly #database: Database;
  readonly #log: (message: string) => void;
  #live = 0;
  #written = 0;
  #compacting: Promise<void> | undefined;

  constructor(database: Database, log: (message: string) => void) {
    this.#database = database;
    this.#log = log;
  }

  async batch(operations: Operation[], options: { sync: boolean }): Promise<void> {
    await writeBatch(this.#database, operations, options.sync);
    for (const operation of operations) {
      this.#written += operation.key.length + (operation.type === "put" ? operation.value.length : 0);
    }
    if (this.#written >= Math.max(MIN_WRITTEN_BYTES, this.#live)) this.#compacting ??= this.#compact();
  }

  /** Waits for a compaction under way. */
  async idle(): Promise<void> {
    await this.#compacting;
  }

  /** Runs beside the writes; Level does the work on its own thread. */
  async #compact(): Promise<void> {
    this.#written = 0;
    try {
      this.#live = await this.#database.approximateSize("", LAST_KEY);
      if (this.#live < MAX_LIVE_BYTES) {
        await this.#database.compactRange("", LAST_KEY);
        this.#live = await this.#database.approximateSize("", LAST_KEY);
      }
    } catch (error) {
      this.#log(`compaction failed, disk space is not given back: ${reasonOf(error)}`);
    } finally {
      this.#compacting = undefined;
    }
  }
}

/** After every key of `keys.ts`. */
const LAST_KEY = "\u{10ffff}";
