import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensureDirectory, syncDirectory } from "./atomic-file.js";
import { reasonOf, StorageError } from "./errors.js";
import { contentDirectory, contentFile } from "./layout.js";
import type { Durability } from "./storage.js";

/** Files written at once for one call: more would wait for each other in Node's thread pool. */
const PARALLEL_WRITES = 4;

/** Content and its hash. */
export interface Content {
  hash: string;
  bytes: Uint8Array;
}

/** SHA-256 in hexadecimal: the name of content. */
export function contentHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Raw content of one collection, such as images, in files named by their hash: the same content is stored once. Who refers to
 * content is counted in memory, so that it goes with the last reference; the counts are built anew at each start (`retain` for
 * every record, then `collect`).
 */
export class ContentStore {
  readonly #collection: string;
  readonly #sync: boolean;
  readonly #references = new Map<string, number>();
  /** The last write or removal of each hash that has not ended: they take turns. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #directories = new Map<string, Promise<unknown>>();
  #keepers = 0;
  /** Content that lost its last reference while somebody kept everything. */
  readonly #kept = new Set<string>();

  /** `collection` is the collection's directory; nothing is read or made yet. */
  constructor(collection: string, durability: Durability) {
    this.#collection = collection;
    this.#sync = durability === "fsync";
  }

  /** Something refers to this content from now on. */
  retain(hash: string): void {
    this.#references.set(hash, (this.#references.get(hash) ?? 0) + 1);
  }

  /** Something refers to it no more; with the last reference the file goes, in the background. */
  release(hash: string): void {
    const left = (this.#references.get(hash) ?? 0) - 1;
    if (left > 0) {
      this.#references.set(hash, left);
      return;
    }
    this.#references.delete(hash);
    if (this.#keepers > 0) this.#kept.add(hash);
    else this.#removeSoon(hash);
  }

  /** Until the result is called no file is removed, whoever lets go of it: for one who reads the files by their paths. */
  keep(): () => void {
    this.#keepers++;
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      if (--this.#keepers > 0) return;
      for (const hash of this.#kept) this.#removeSoon(hash);
      this.#kept.clear();
    };
  }

  /** Retains all of these. Returns the function that releases them again, which works once. */
  hold(hashes: Iterable<string>): () => void {
    let held = [...hashes];
    for (const hash of held) this.retain(hash);
    return () => {
      for (const hash of held) this.release(hash);
      held = [];
    };
  }

  /**
   * Stores contents and holds them. When it resolves they are as safe as the durability says, so that records may name them; whoever
   * called then lets go, after `retain` for each record.
   *
   * @returns lets go of them
   * @throws write_failed
   */
  async put(contents: Iterable<Content>): Promise<() => void> {
    const distinct = new Map(Array.from(contents, ({ hash, bytes }) => [hash, bytes]));
    const letGo = this.hold(distinct.keys());
    try {
      await this.#inTurn([...distinct.keys()], () => this.#writeAll(distinct));
    } catch (error) {
      letGo();
      throw new StorageError("write_failed", `Content could not be stored: ${reasonOf(error)}.`, { cause: error });
    }
    return letGo;
  }

  /** The file of this content, whether it is there or not. @throws invalid_key */
  path(hash: string): string {
    return contentFile(this.#collection, hash);
  }

  /** Whether anything refers to it. */
  has(hash: string): boolean {
    return this.#references.has(hash);
  }

  /** The content, checked against its hash. @throws content_lost */
  async read(hash: string): Promise<Buffer> {
    const path = this.path(hash);
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw lost(path, error.code === "ENOENT" ? "is missing" : `cannot be read (${error.message})`);
    });
    if (contentHash(bytes) !== hash) throw lost(path, "is damaged: its bytes do not fit its name");
    return bytes;
  }

  /** Removes files that nothing refers to, as a crash leaves them. To be called before anything is put. Returns how many there were. */
  async collect(): Promise<number> {
    const root = contentDirectory(this.#collection);
    let removed = 0;
    for (const first of await namesIn(root)) {
      for (const rest of await namesIn(join(root, first))) {
        if (this.#references.has(first + rest)) continue;
        await rm(join(root, first, rest), { recursive: true, force: true });
        removed++;
      }
    }
    return removed;
  }

  /** Resolves when the writes and removals asked for so far have ended. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#turns.values());
  }

  async #writeAll(contents: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const waiting = contents.entries();
    const changed = new Set<string>();
    const write = async () => {
      for (const [hash, bytes] of waiting) {
        const path = this.path(hash);
        if (await holds(path, hash, bytes.length)) continue;
        await this.#makeDirectory(dirname(path));
        await this.#write(path, bytes);
        changed.add(dirname(path));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_WRITES }, write));
    if (!this.#sync) return;
    for (const directory of changed) await syncDirectory(directory);
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`;
    const file = await open(temporary, "w");
    try {
      await file.writeFile(bytes);
      if (this.#sync) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  }

  /** Once for each directory: a second writer must not go on before the first has synced its parent. */
  async #makeDirectory(path: string): Promise<void> {
    const making =
      this.#directories.get(path) ?? (this.#sync ? ensureDirectory(path) : mkdir(path, { recursive: true }));
    this.#directories.set(path, making);
    await making.catch((error: unknown) => {
      this.#directories.delete(path);
      throw error;
    });
  }

  /** What cannot be removed now is removed by the next `collect`. */
  #removeSoon(hash: string): void {
    this.#inTurn([hash], () => this.#remove(hash)).catch(() => {});
  }

  async #remove(hash: string): Promise<void> {
    if (!this.#references.has(hash)) await unlink(this.path(hash));
  }

  /** Runs `work` after what was begun before on any of these hashes. */
  async #inTurn(hashes: readonly string[], work: () => Promise<void>): Promise<void> {
    const before = hashes.flatMap((hash) => this.#turns.get(hash) ?? []);
    const mine = Promise.allSettled(before).then(work);
    for (const hash of hashes) this.#turns.set(hash, mine);
    try {
      await mine;
    } finally {
      for (const hash of hashes) if (this.#turns.get(hash) === mine) this.#turns.delete(hash);
    }
  }
}

function lost(path: string, problem: string): StorageError {
  return new StorageError(
    "content_lost",
    `The content file ${path} ${problem}. Restore it from a backup, or send the item's content again.`,
  );
}

/** Whether this content is in the file, undamaged: sending content again is how a damaged file is mended. */
async function holds(path: string, hash: string, bytes: number): Promise<boolean> {
  if ((await stat(path).catch(() => undefined))?.size !== bytes) return false;
  const found = await readFile(path).catch(() => undefined);
  return found !== undefined && contentHash(found) === hash;
}

async function namesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw new StorageError("data_directory", `${directory} cannot be read: ${error.message}.`, { cause: error });
  });
  return entries.sort();
}
