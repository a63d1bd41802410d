import { readdir, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { syncDirectory } from "./atomic-file.js";
import { CollectionTables } from "./collection-tables.js";
import { CompactingWriter } from "./compaction.js";
import { diskUsage } from "./disk-usage.js";
import { assertLittleEndian } from "./endianness.js";
import { reasonOf, StorageError } from "./errors.js";
import { checkFormat } from "./format-version.js";
import { GroupCommit } from "./group-commit.js";
import { COLLECTION_DATA_PREFIX, COLLECTIONS_PREFIX, collectionPrefix, endOfPrefix, isUid, textKey } from "./keys.js";
import { collectionDirectory, collectionsDirectory } from "./layout.js";
import { closeLevel, type Database, openLevel } from "./level.js";
import type { Operation } from "./operation.js";
import { type CollectionRecord, collectionCodec } from "./records/collection.js";
import type { GenerationRecord } from "./records/generation.js";
import type { JobRecord } from "./records/job.js";
import { LevelTable, type Table } from "./table.js";

/**
 * When a write is acknowledged. `fsync`: when it is on disk. `os`: when the operating system has it, so that it survives a crash of the
 * process, not of the machine.
 */
export type Durability = "fsync" | "os";

export interface StorageOptions {
  /** @default "fsync" */
  durability?: Durability;
  /** Takes one line at a time, such as about an upgrade. @default nothing is said */
  log?: (message: string) => void;
}

/** The data directory: records in Level, and the paths of everything beside it. One process has it open at a time. */
export class Storage {
  readonly directory: string;
  readonly durability: Durability;
  /** All collections, by name. */
  readonly collections: Table<string, CollectionRecord>;
  readonly #database: Database;
  readonly #writer: CompactingWriter;
  readonly #commits: GroupCommit;
  #closing: Promise<void> | undefined;

  private constructor(directory: string, durability: Durability, database: Database, log: (message: string) => void) {
    this.directory = directory;
    this.durability = durability;
    this.#database = database;
    this.#writer = new CompactingWriter(database, log);
    this.#commits = new GroupCommit(this.#writer, durability === "fsync");
    this.collections = new LevelTable(database, COLLECTIONS_PREFIX, textKey, collectionCodec);
  }

  /**
   * Opens a data directory, creates it where it is missing, locks it against a second process, and brings an older format up to date.
   *
   * @throws data_locked, data_version, data_corrupt, data_directory, unsupported_host
   */
  static async open(directory: string, options: StorageOptions = {}): Promise<Storage> {
    assertLittleEndian();
    const { durability = "fsync", log = () => {} } = options;
    const data = resolve(directory);
    const database = await openLevel(data, log);
    try {
      await checkFormat(database, log);
    } catch (error) {
      await closeLevel(data, database);
      throw error;
    }
    return new Storage(data, durability, database, log);
  }

  /** The tables of one collection; they need not hold anything. @throws invalid_key */
  collection<J extends object = JobRecord, G extends object = GenerationRecord>(uid: string): CollectionTables<J, G> {
    return new CollectionTables<J, G>(this.#database, this.#commits, uid);
  }

  /**
   * Applies all changes or none, and resolves when they are as safe as `durability` says. Concurrent calls are merged into one
   * batch, in the order of the calls; a caller whose batch fails may not assume that any of it was stored.
   *
   * @throws write_failed, storage_closed
   */
  write(operations: Operation[]): Promise<void> {
    return this.#commits.write(operations);
  }

  /** DATA/collections/UID, which need not exist. @throws invalid_key */
  collectionDirectory(uid: string): string {
    return collectionDirectory(this.directory, uid);
  }

  /** Removes a collection's directory with everything in it. @throws invalid_key */
  async removeCollectionFiles(uid: string): Promise<void> {
    await rm(this.collectionDirectory(uid), { recursive: true, force: true });
    await syncDirectory(collectionsDirectory(this.directory)).catch(ignoreMissing);
  }

  /**
   * Uids that have a directory or keys but no collection record, as a crash in the middle of a delete leaves them; the
   * caller clears and removes them.
   */
  async orphanCollections(): Promise<string[]> {
    const known = new Set<string>();
    await this.collections.scan((_name, { uid }) => known.add(uid));
    const found = new Set(await this.#collectionsWithKeys());
    const entries = await readdir(collectionsDirectory(this.directory), { withFileTypes: true }).catch(ignoreMissing);
    for (const entry of entries ?? []) if (entry.isDirectory() && isUid(entry.name)) found.add(entry.name);
    return [...found].filter((uid) => !known.has(uid)).sort();
  }

  /**
   * Bytes on disk that one collection occupies: its key range in Level's table files (an estimate, without what is still in
   * Level's log) and its directory. @throws invalid_key
   */
  async approximateBytes(uid: string): Promise<number> {
    const prefix = collectionPrefix(uid);
    const [records, files] = await Promise.all([
      this.#database.approximateSize(prefix, endOfPrefix(prefix)),
      diskUsage(this.collectionDirectory(uid)),
    ]);
    return records + files;
  }

  /** Waits for accepted writes, then frees the lock. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#commits.close();
    await this.#writer.idle();
    await closeLevel(this.directory, this.#database);
  }

  /** Jumps from collection to collection instead of reading every key. */
  async #collectionsWithKeys(): Promise<string[]> {
    const uids: string[] = [];
    const iterator = this.#database.keys({ gte: COLLECTION_DATA_PREFIX, lt: endOfPrefix(COLLECTION_DATA_PREFIX) });
    try {
      for (let key = await iterator.next(); key !== undefined; key = await iterator.next()) {
        const uid = key.split("/", 2)[1] ?? "";
        uids.push(uid);
        iterator.seek(endOfPrefix(collectionPrefix(uid)));
      }
    } finally {
      await iterator.close();
    }
    return uids;
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw new StorageError("data_directory", `The data directory cannot be read: ${reasonOf(error)}.`, { cause: error });
}
