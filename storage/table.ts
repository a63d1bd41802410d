import { endOfPrefix, type KeyCodec } from "./keys.js";
import { type Database, ITERATOR_BYTES } from "./level.js";
import type { Operation } from "./operation.js";
import type { RecordCodec } from "./records/codec.js";

/** Part of a table: keys after `after` (before it when `reverse`), not `after` itself. */
export interface TableRange<K> {
  after?: K;
  /** At most this many entries. @default all */
  limit?: number;
  /** Largest key first. @default false */
  reverse?: boolean;
}

/** Records of one kind, ordered by key: names and ids by their UTF-8 bytes, numbers by value. */
export interface Table<K, V> {
  /** @throws invalid_key, corrupt_record */
  get(key: K): Promise<V | undefined>;
  /** Like `get`, on the calling thread: for single records that are likely to be cached. @throws invalid_key, corrupt_record */
  getSync(key: K): V | undefined;
  /** In the order of `keys`. @throws invalid_key, corrupt_record */
  getMany(keys: K[]): Promise<(V | undefined)[]>;
  /** A consistent view as of the first step. @throws invalid_key, corrupt_record */
  entries(range?: TableRange<K>): AsyncIterable<[K, V]>;
  /** Every entry in key order, from a consistent view: the fastest way through a table. @throws corrupt_record */
  scan(visit: (key: K, value: V) => void): Promise<void>;
  /** The change that stores a value; nothing happens before `Storage.write`. @throws invalid_key, invalid_record */
  put(key: K, value: V): Operation;
  /** The change that deletes a key, which need not exist. @throws invalid_key */
  delete(key: K): Operation;
}

const SCAN_ENTRIES = 1_000;
const PAGE_ENTRIES = 256;

/** A table in Level: the keys below one prefix, which ends in a slash. */
export class LevelTable<K, V> implements Table<K, V> {
  readonly #database: Database;
  readonly #prefix: string;
  readonly #end: string;
  readonly #keys: KeyCodec<K>;
  readonly #values: RecordCodec<V>;

  constructor(database: Database, prefix: string, keys: KeyCodec<K>, values: RecordCodec<V>) {
    this.#database = database;
    this.#prefix = prefix;
    this.#end = endOfPrefix(prefix);
    this.#keys = keys;
    this.#values = values;
  }

  async get(key: K): Promise<V | undefined> {
    const stored = this.#storedKey(key);
    return this.#decode(stored, await this.#database.get(stored));
  }

  getSync(key: K): V | undefined {
    const stored = this.#storedKey(key);
    return this.#decode(stored, this.#database.getSync(stored));
  }

  async getMany(keys: K[]): Promise<(V | undefined)[]> {
    const stored = keys.map((key) => this.#storedKey(key));
    const values = await this.#database.getMany(stored);
    return stored.map((key, i) => this.#decode(key, values[i]));
  }

  async *entries(range: TableRange<K> = {}): AsyncGenerator<[K, V], void, undefined> {
    const { after, limit = Number.POSITIVE_INFINITY, reverse = false } = range;
    const start = after === undefined || reverse ? { gte: this.#prefix } : { gt: this.#storedKey(after) };
    const end = after === undefined || !reverse ? { lt: this.#end } : { lt: this.#storedKey(after) };
    if (!(limit > 0)) return;
    const iterator = this.#database.iterator({ ...start, ...end, reverse, limit, highWaterMarkBytes: ITERATOR_BYTES });
    try {
      for (let page = await iterator.nextv(PAGE_ENTRIES); page.length > 0; page = await iterator.nextv(PAGE_ENTRIES)) {
        for (const [key, value] of page) yield [this.#publicKey(key), this.#values.decode(value, key)];
      }
    } finally {
      await iterator.close();
    }
  }

  async scan(visit: (key: K, value: V) => void): Promise<void> {
    const iterator = this.#database.iterator({ gte: this.#prefix, lt: this.#end, highWaterMarkBytes: ITERATOR_BYTES });
    try {
      let page = await iterator.nextv(SCAN_ENTRIES);
      while (page.length > 0) {
        // The next page is read on another thread while this one is decoded.
        const next = iterator.nextv(SCAN_ENTRIES);
        try {
          for (const [key, value] of page) visit(this.#publicKey(key), this.#values.decode(value, key));
        } catch (error) {
          await next.catch(() => {});
          throw error;
        }
        page = await next;
      }
    } finally {
      await iterator.close();
    }
  }

  put(key: K, value: V): Operation {
    return { type: "put", key: this.#storedKey(key), value: this.#values.encode(value) };
  }

  delete(key: K): Operation {
    return { type: "del", key: this.#storedKey(key) };
  }

  #storedKey(key: K): string {
    return this.#prefix + this.#keys.encode(key);
  }

  #publicKey(stored: string): K {
    return this.#keys.decode(stored.slice(this.#prefix.length));
  }

  #decode(key: string, value: string | undefined): V | undefined {
    return value === undefined ? undefined : this.#values.decode(value, key);
  }
}
