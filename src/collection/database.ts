import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { CollectionInfo, CollectionList, CreateCollection, Readiness } from "../../schemas/index.js";
import { type CollectionRecord, type Durability, Storage, StorageError } from "../../storage/index.js";
import type { Encoder, EncoderIdentity } from "../encoder/index.js";
import { AttuneError } from "../errors/index.js";
import { availableProviders, type ProviderChoice } from "../runtime/index.js";
import { Collection } from "./collection.js";
import { DEFAULT_PAGE, decodeCursor, encodeCursor, type PageOptions } from "./cursor.js";
import { EncoderPool } from "./encoding/encoder-pool.js";
import { checkBatchSize, checkText } from "./items/item-content.js";
import { Slot } from "./jobs/slot.js";
import { DEFAULT_LIMITS, type Limits } from "./limits.js";
import { type Logger, SILENT } from "./logger.js";
import { untuned } from "./open-collection.js";
import {
  checkCollectionName,
  checkEncoder,
  type RequestedSettings,
  requestSettings,
  sameSettings,
} from "./settings.js";
import { VERSION } from "./version.js";

export interface DatabaseOptions {
  directory: string;
  /** Execution provider of encoders and of training. @default "auto" */
  provider?: ProviderChoice | undefined;
  /** Whether an acknowledged write is on the disk, or only with the operating system. @default "fsync" */
  durability?: Durability | undefined;
  limits?: Partial<Limits> | undefined;
  /** Where models are kept. @default the encoder's own default */
  cacheDirectory?: string | undefined;
  /** Memory for the embeddings of recent query texts, in bytes; 0 keeps none. @default 16 MiB */
  queryCacheBytes?: number | undefined;
  /** Cores to use. @default all */
  threads?: number | undefined;
  /** Whether fine-tunes of an encoder that the last end cut off go on by themselves. @default true */
  resumeFineTunes?: boolean | undefined;
  /** @default silence */
  log?: Logger | undefined;
}

/** Some 6,500 texts of 512 dimensions. */
const DEFAULT_QUERY_CACHE_BYTES = 16 * 1024 * 1024;

/** Fine-tunes and index builds run at this lower priority, so that queries go first. */
const BACKGROUND_NICENESS = 10;

/** The identity of an encoder and the specification that opens this very one again, as a collection keeps it. */
type StoredEncoder = EncoderIdentity & { id: string };

/** All collections of one data directory. */
export class Database {
  readonly limits: Limits;
  private readonly collections = new Map<string, Collection>();
  /** Collections that could not be opened, and why; their data is left alone. */
  private readonly failed = new Map<string, AttuneError>();
  private readonly encoders: EncoderPool;
  private readonly slot = new Slot();
  private readonly threads: number;
  private readonly provider: ProviderChoice;
  private readonly log: Logger;
  private changes: Promise<unknown> = Promise.resolve();
  private closing: Promise<void> | undefined;
  private ready = false;

  private constructor(
    private readonly storage: Storage,
    options: DatabaseOptions,
  ) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.threads = options.threads ?? availableParallelism();
    this.provider = options.provider ?? "auto";
    this.log = options.log ?? SILENT;
    this.encoders = new EncoderPool({
      provider: this.provider,
      threads: this.threads,
      maxPixels: this.limits.imagePixels,
      cacheDirectory: options.cacheDirectory,
      queryCacheBytes: options.queryCacheBytes ?? DEFAULT_QUERY_CACHE_BYTES,
      log: this.log,
    });
  }

  /**
   * Opens a data directory and every collection in it. A collection that cannot be opened is reported and left alone.
   * @throws data_locked, data_version, internal
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const log = options.log ?? SILENT;
    const storage = await Storage.open(options.directory, {
      durability: options.durability ?? "fsync",
      log: (message) => log.info(message),
    }).catch((error: unknown) => {
      throw asAttuneError(error);
    });
    const database = new Database(storage, options);
    try {
      await database.openCollections();
    } catch (error) {
      await database.close();
      throw error;
    }
    database.ready = true;
    if (options.resumeFineTunes !== false) {
      for (const collection of database.collections.values()) await collection.resumeCutOff();
    }
    return database;
  }

  get directory(): string {
    return this.storage.directory;
  }

  readiness(): Readiness {
    return {
      status: this.ready && this.closing === undefined ? "ready" : "starting",
      version: VERSION,
      provider: this.encoders.provider,
      availableProviders: availableProviders(),
      queryCache: this.encoders.recent.status(),
      collections: {
        open: this.collections.size,
        failed: Object.fromEntries([...this.failed].map(([name, { message }]) => [name, message])),
      },
    };
  }

  /**
   * Creates a collection, or finds the one that was created with the same settings.
   * @throws validation_failed, invalid_setting, collection_exists, unknown_encoder, invalid_encoder, provider_unavailable
   */
  createCollection(name: string, settings: CreateCollection): Promise<{ created: boolean; info: CollectionInfo }> {
    checkCollectionName(name);
    const requested = requestSettings(settings, this.limits);
    return this.change(async () => {
      const existing = await this.storage.collections.get(name);
      if (existing !== undefined) return { created: false, info: await this.existing(existing, requested) };
      const collection = await this.create(name, requested);
      return { created: true, info: await collection.info() };
    });
  }

  /** A page of collections by name. @throws invalid_cursor */
  async listCollections({ limit = DEFAULT_PAGE, cursor }: PageOptions = {}): Promise<CollectionList> {
    const after = decodeCursor(cursor);
    const names = [...this.collections.keys()].sort().filter((name) => after === undefined || name > after);
    const shown = names.slice(0, limit);
    const last = shown.at(-1);
    return {
      collections: await Promise.all(shown.map((name) => this.collection(name).info())),
      ...(names.length > limit && last !== undefined ? { nextCursor: encodeCursor(last) } : {}),
    };
  }

  /** @throws collection_not_found, or why it could not be opened */
  collection(name: string): Collection {
    const collection = this.collections.get(name);
    if (collection !== undefined) return collection;
    const failure = this.failed.get(name);
    if (failure !== undefined) throw failure;
    throw new AttuneError(
      "collection_not_found",
      `There is no collection ${JSON.stringify(name.slice(0, 80))}; create it with PUT /v1/collections/{name}.`,
    );
  }

  /** Deletes a collection and everything in it; requests in progress in it fail. @throws collection_not_found */
  deleteCollection(name: string): Promise<void> {
    return this.change(async () => {
      const record = await this.storage.collections.get(name);
      if (record === undefined) this.collection(name);
      const open = this.collections.get(name);
      this.collections.delete(name);
      if (record === undefined) {
        this.failed.delete(name);
        return;
      }
      // Closed first: what it still has to write, its record among it, must not come after the deletion.
      await open?.close(false).catch((error: unknown) => this.log.warn(`Closing ${name} failed: ${String(error)}`));
      if (open !== undefined && record.encoder !== undefined)
        await this.encoders.release((record.encoder as StoredEncoder).id);
      try {
        await this.storage.write([this.storage.collections.delete(name)]);
      } catch (error) {
        this.failed.set(name, asAttuneError(error));
        throw error;
      }
      this.failed.delete(name);
      await this.removeData(record.uid);
    });
  }

  /**
   * Embeds texts as queries: by a collection's active generation, or by an encoder that is in use or built in.
   * @returns vectors (texts.length x dimensions)
   * @throws model_not_found, no_encoder, wrong_modality, batch_too_large, empty_text, invalid_text
   */
  async embed(model: string, texts: string[]): Promise<{ vectors: Float32Array; dimensions: number; tokens: number }> {
    checkBatchSize(texts.length, this.limits.itemsPerBatch, "texts");
    for (const text of texts) checkText(text);
    if (this.collections.has(model) || this.failed.has(model)) return this.collection(model).embed(texts);
    if (!this.encoders.has(model) && model !== "use-lite") {
      throw new AttuneError(
        "model_not_found",
        `There is no collection and no encoder in use named ${JSON.stringify(model.slice(0, 80))}; name a collection, or "use-lite".`,
      );
    }
    const encoder = await this.encoders.acquire(model);
    try {
      const { vectors, tokens } = await encoder.encode(texts, { priority: "query" });
      return { vectors, tokens, dimensions: encoder.dimensions };
    } finally {
      await this.encoders.release(model);
    }
  }

  /** Lets writes in progress end, stops jobs, saves indexes, ends threads and child processes. Safe to call twice. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    await this.changes.catch(() => {});
    for (const result of await Promise.allSettled([...this.collections.values()].map((open) => open.close()))) {
      if (result.status === "rejected") this.log.error(`A collection could not be closed: ${String(result.reason)}`);
    }
    await this.encoders.close();
    await this.storage.close();
  }

  /** One change of the set of collections at a time. */
  private change<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing !== undefined) {
      throw new AttuneError("shutting_down", "The server is shutting down; send the request again in a moment.");
    }
    const result = this.changes.then(work, work);
    this.changes = result.catch(() => {});
    return result;
  }

  private async openCollections(): Promise<void> {
    for (const uid of await this.storage.orphanCollections()) {
      this.log.info(`Removing what is left of a deleted collection (${uid}).`);
      await this.removeData(uid);
    }
    for await (const [name, record] of this.storage.collections.entries()) {
      try {
        this.collections.set(name, await this.openCollection(record));
      } catch (error) {
        const failure = asAttuneError(error);
        this.failed.set(name, failure);
        this.log.error(`Collection ${name} cannot be opened: ${failure.message}`);
      }
    }
  }

  private async openCollection(record: CollectionRecord): Promise<Collection> {
    const stored = record.encoder as StoredEncoder | undefined;
    const encoder = stored === undefined ? undefined : await this.encoders.acquire(stored.id);
    try {
      if (stored !== undefined && encoder !== undefined) checkIdentity(record.name, stored, encoder);
      return await Collection.open(record, {
        storage: this.storage,
        encoder,
        encoders: this.encoders,
        limits: this.limits,
        slot: this.slot,
        log: this.log,
        threads: 1,
        trainingThreads: this.threads,
        trainingProvider: this.provider,
        niceness: BACKGROUND_NICENESS,
      });
    } catch (error) {
      if (stored !== undefined) await this.encoders.release(stored.id);
      throw error;
    }
  }

  /** @throws collection_exists */
  private async existing(record: CollectionRecord, requested: RequestedSettings): Promise<CollectionInfo> {
    if (sameSettings(record.settings as RequestedSettings, requested)) return this.collection(record.name).info();
    throw new AttuneError(
      "collection_exists",
      `The collection ${record.name} exists and was created as ${JSON.stringify(record.settings)}. Ask for the same settings, change it with PATCH, or choose another name.`,
    );
  }

  private async create(name: string, requested: RequestedSettings): Promise<Collection> {
    const identity = requested.encoder === undefined ? undefined : await this.identify(requested.encoder, requested);
    const dimensions = identity?.dimensions ?? requested.dimensions ?? 0;
    const record: CollectionRecord = {
      uid: randomBytes(8).toString("hex"),
      name,
      createdAt: new Date().toISOString(),
      settings: requested,
      current: { ...requested, dimensions },
      ...(identity === undefined ? {} : { encoder: identity }),
      dimensions,
      activeGeneration: 0,
      nextGeneration: 1,
      nextJob: 1,
    };
    const tables = this.storage.collection(record.uid);
    await this.storage.write([this.storage.collections.put(name, record), tables.generations.put(0, { ...untuned() })]);
    try {
      const collection = await this.openCollection(record);
      this.collections.set(name, collection);
      return collection;
    } catch (error) {
      // Else the name would be taken by a collection that nobody can reach.
      await this.storage.write([this.storage.collections.delete(name)]);
      await this.removeData(record.uid);
      throw error;
    }
  }

  /**
   * What an encoder is. Its id may say more than was asked for: a revision that was left out is pinned.
   * @throws invalid_setting when it does not fit the other settings
   */
  private async identify(specification: string, requested: RequestedSettings): Promise<StoredEncoder> {
    const encoder = await this.encoders.acquire(specification);
    try {
      checkEncoder(requested, encoder);
      return { id: encoder.id, ...encoder.identity };
    } finally {
      await this.encoders.release(specification);
    }
  }

  private async removeData(uid: string): Promise<void> {
    await this.storage.collection(uid).clear();
    await this.storage.removeCollectionFiles(uid);
  }
}

/** @throws encoder_changed */
function checkIdentity(name: string, { id, ...stored }: StoredEncoder, encoder: Encoder): void {
  if (isDeepStrictEqual(stored, encoder.identity)) return;
  const changed = Object.keys(stored).filter((key) => {
    const field = key as keyof EncoderIdentity;
    return stored[field] !== encoder.identity[field];
  });
  throw new AttuneError(
    "encoder_changed",
    `The encoder ${id} is not the one that the collection ${name} was made with (${changed.join(", ")} differ). Vectors of two encoders cannot be compared: put the old files back, or make a new collection.`,
  );
}

/** Errors of other rooms as people meet them. */
function asAttuneError(error: unknown): AttuneError {
  if (error instanceof AttuneError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof StorageError ? error.code : undefined;
  return new AttuneError(code === "data_locked" || code === "data_version" ? code : "internal", message, {
    cause: error,
  });
}
