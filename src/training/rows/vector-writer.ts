import { type FileHandle, open } from "node:fs/promises";
import { freeArray } from "../../vector/free-array.js";
import { successiveRuns } from "./row-files.js";

/** Bytes after which what was written so far is sent to the disk, while more is being made. */
const FLUSH_BYTES = 32 * 1024 * 1024;

/**
 * Makes a file of little-endian float32 rows, row number = label, which holds the largest label + 1 rows; those that are not written are
 * zero (a hole in the file).
 * @param labels every label that will be written
 */
export async function createVectorFile(path: string, labels: Uint32Array, dimensions: number): Promise<void> {
  const rows = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const file = await open(path, "w");
  try {
    await file.truncate(rows * dimensions * 4);
  } finally {
    await file.close();
  }
}

/**
 * Writes vectors to such a file, several at once where each has labels of its own. A block is written while the next one is computed, and the disk takes what was
 * written while more is: what is left to wait for in the end is little.
 */
export class VectorWriter {
  #writing: Promise<void> = Promise.resolve();
  #flushing: Promise<void> = Promise.resolve();
  #unflushed = 0;

  private constructor(
    private readonly file: FileHandle,
    private readonly dimensions: number,
  ) {}

  /** @param labels see `createVectorFile` */
  static async create(path: string, labels: Uint32Array, dimensions: number): Promise<VectorWriter> {
    await createVectorFile(path, labels, dimensions);
    return VectorWriter.open(path, dimensions);
  }

  /** Writes to a file that is there. */
  static async open(path: string, dimensions: number): Promise<VectorWriter> {
    return new VectorWriter(await open(path, "r+"), dimensions);
  }

  /**
   * Begins to write each row at its label; resolves when the block before is written. The rows belong to the writer then, which frees them.
   * @throws what the block before has failed with
   */
  async write(labels: Uint32Array, vectors: Float32Array): Promise<void> {
    await this.#writing;
    this.#writing = this.#writeBlock(labels, vectors);
    // Whoever waits for it next is told; until then a failure waits too.
    this.#writing.catch(() => {});
  }

  /** Resolves when everything is on the disk. @throws what writing has failed with */
  async finish(): Promise<void> {
    await this.#writing;
    await this.#flushing;
    await this.file.sync();
  }

  /** Waits for what is under way, and closes the file. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#writing, this.#flushing]);
    await this.file.close();
  }

  async #writeBlock(labels: Uint32Array, vectors: Float32Array): Promise<void> {
    const rowBytes = this.dimensions * 4;
    const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
    for (const { first, length, offset } of successiveRuns(labels)) {
      await this.#writeAll(bytes.subarray(offset * rowBytes, (offset + length) * rowBytes), first * rowBytes);
    }
    const written = bytes.length;
    freeArray(vectors);
    this.#flushSoon(written);
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  #flushSoon(bytes: number): void {
    this.#unflushed += bytes;
    if (this.#unflushed < FLUSH_BYTES) return;
    this.#unflushed = 0;
    // The disk tells of a failure once, so it is kept for `finish`.
    this.#flushing = this.#flushing.then(() => this.file.datasync());
    this.#flushing.catch(() => {});
  }
}
