import { type FileHandle, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ensureDirectory, syncDirectory } from "./atomic-file.js";
import { assertLittleEndian } from "./endianness.js";
import { reasonOf, StorageError } from "./errors.js";
import { type Run, runsOf } from "./row-runs.js";

const MAX_LABEL = 0xffffffff;
/** One system call moves at most this much: the limits of the platforms lie near 2 GiB. */
const MAX_TRANSFER_BYTES = 64 << 20;
/** Transfers under way at once for one call: scattered rows wait for each other's turn in Node's thread pool otherwise. */
const PARALLEL_TRANSFERS = 4;

/**
 * A file of rows of `dimensions` little-endian float32 numbers, without a header; the row number is the item's label.
 * Rows never written below the last one read as zeros (the file is sparse there).
 */
export class VectorFile {
  readonly path: string;
  readonly dimensions: number;
  readonly #file: FileHandle;
  #rows: number;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  readonly #underWay = new Set<Promise<unknown>>();

  private constructor(path: string, dimensions: number, file: FileHandle, rows: number) {
    this.path = path;
    this.dimensions = dimensions;
    this.#file = file;
    this.#rows = rows;
  }

  /**
   * Opens a file, creates it (and its directory) where it is missing, and cuts off a partial last row, which a crash in the
   * middle of an append leaves behind.
   *
   * @throws invalid_rows, unsupported_host, data_directory
   */
  static async open(path: string, dimensions: number): Promise<VectorFile> {
    assertLittleEndian();
    if (!Number.isSafeInteger(dimensions) || dimensions < 1) {
      throw new StorageError(
        "invalid_rows",
        `${path}: ${String(dimensions)} dimensions; expected a whole number from 1.`,
      );
    }
    const target = resolve(path);
    const file = await openOrCreate(target);
    try {
      const rowBytes = dimensions * 4;
      const { size } = await file.stat();
      const rows = Math.floor(size / rowBytes);
      if (size !== rows * rowBytes) await file.truncate(rows * rowBytes);
      return new VectorFile(target, dimensions, file, rows);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** How many rows the file has: one more than the largest label written. */
  rows(): number {
    return this.#rows;
  }

  /**
   * Writes row i of `rows` (n x dimensions) at `labels[i]`, in any order; of a label that stands there twice the last row wins.
   * Concurrent calls must not share labels. Nothing is promised about a crash before `sync`.
   *
   * @throws invalid_rows, write_failed, storage_closed
   */
  write(labels: ArrayLike<number>, rows: Float32Array): Promise<void> {
    return this.#track(async () => {
      if (rows.length !== labels.length * this.dimensions) {
        throw new StorageError(
          "invalid_rows",
          `${this.path}: ${rows.length} numbers for ${labels.length} rows of ${this.dimensions}; expected ${labels.length * this.dimensions}.`,
        );
      }
      const runs = runsOf(labels, MAX_LABEL);
      await forEach(runs, (run) => this.#transfer("write", run.label, this.#gather(run, rows)));
      for (const { label, positions } of runs) this.#rows = Math.max(this.#rows, label + positions.length);
    });
  }

  /** Returns when everything written before the call is on disk (fdatasync); concurrent calls share one. @throws write_failed, storage_closed */
  sync(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closedError());
    // A sync under way may have begun before the caller's writes: only the next one covers them, whoever asks for it.
    const start = () => this.#startSync();
    this.#nextSync ??= (this.#syncing ?? Promise.resolve()).then(start, start);
    return this.#nextSync;
  }

  /** Rows of `labels`, in their order: n x dimensions. @throws row_out_of_range, invalid_rows, storage_closed */
  read(labels: ArrayLike<number>): Promise<Float32Array> {
    return this.#track(async () => {
      const result = new Float32Array(labels.length * this.dimensions);
      const runs = runsOf(labels, MAX_LABEL, { keepRepeats: true });
      for (const { label, positions } of runs) this.#checkRange(label, positions.length);
      await forEach(runs, async (run) => {
        if (run.adjacent) return this.#transfer("read", run.label, this.#slice(result, run));
        const rows = new Float32Array(run.positions.length * this.dimensions);
        await this.#transfer("read", run.label, rows);
        run.positions.forEach((position, i) => {
          result.set(rows.subarray(i * this.dimensions, (i + 1) * this.dimensions), position * this.dimensions);
        });
      });
      return result;
    });
  }

  /** Rows `first` to `first + count - 1`: count x dimensions. @throws row_out_of_range, storage_closed */
  readBlock(first: number, count: number): Promise<Float32Array> {
    return this.#track(async () => {
      this.#checkRange(first, count);
      const rows = new Float32Array(count * this.dimensions);
      await this.#transfer("read", first, rows);
      return rows;
    });
  }

  /** Cuts the file to `rows` rows; it never grows. @throws row_out_of_range, storage_closed */
  truncate(rows: number): Promise<void> {
    return this.#track(async () => {
      this.#checkRange(0, rows);
      await this.#file.truncate(rows * this.dimensions * 4);
      this.#rows = rows;
    });
  }

  /** Waits for what is under way, then closes the file; does not sync. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([...this.#underWay, this.#nextSync, this.#syncing]).then(() =>
      this.#file.close(),
    );
    return this.#closing;
  }

  #startSync(): Promise<void> {
    this.#nextSync = undefined;
    const mine = this.#file
      .datasync()
      .catch((error) => this.#failed(error))
      .finally(() => {
        if (this.#syncing === mine) this.#syncing = undefined;
      });
    this.#syncing = mine;
    return mine;
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw this.#closedError();
    const promise = work();
    this.#underWay.add(promise);
    try {
      return await promise;
    } finally {
      this.#underWay.delete(promise);
    }
  }

  #failed(error: unknown): never {
    throw new StorageError("write_failed", `Cannot write ${this.path}: ${reasonOf(error)}.`, { cause: error });
  }

  #closedError(): StorageError {
    return new StorageError("storage_closed", `${this.path} is closed.`);
  }

  #checkRange(first: number, count: number): void {
    const whole = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0;
    if (whole && first + count <= this.#rows) return;
    throw new StorageError(
      "row_out_of_range",
      `${this.path}: rows ${first} to ${first + count - 1} were asked for; it has ${this.#rows}.`,
    );
  }

  /** The rows of a run one after another: a part of the array as it is where they stand so already, else a copy. */
  #gather(run: Run, rows: Float32Array): Float32Array {
    if (run.adjacent) return this.#slice(rows, run);
    const copy = new Float32Array(run.positions.length * this.dimensions);
    run.positions.forEach((position, i) => {
      copy.set(rows.subarray(position * this.dimensions, (position + 1) * this.dimensions), i * this.dimensions);
    });
    return copy;
  }

  #slice(rows: Float32Array, run: Run): Float32Array {
    const start = (run.positions[0] ?? 0) * this.dimensions;
    return rows.subarray(start, start + run.positions.length * this.dimensions);
  }

  async #transfer(direction: "read" | "write", label: number, rows: Float32Array): Promise<void> {
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    const start = label * this.dimensions * 4;
    for (let done = 0; done < bytes.length; ) {
      const length = Math.min(bytes.length - done, MAX_TRANSFER_BYTES);
      const moved =
        direction === "write"
          ? (await this.#file.write(bytes, done, length, start + done).catch((error) => this.#failed(error)))
              .bytesWritten
          : (await this.#file.read(bytes, done, length, start + done)).bytesRead;
      if (moved === 0)
        throw new StorageError(
          "row_out_of_range",
          `${this.path} ended at byte ${start + done}: it was cut by someone else.`,
        );
      done += moved;
    }
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    await ensureDirectory(dirname(path));
    return await open(path, "r+").catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      const file = await open(path, "w+");
      await syncDirectory(dirname(path));
      return file;
    });
  } catch (error) {
    throw new StorageError("data_directory", `Cannot open the vector file ${path}: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
}

async function forEach<T>(values: readonly T[], work: (value: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let value = values[next++]; value !== undefined; value = values[next++]) await work(value);
  };
  const lanes = Array.from({ length: Math.min(PARALLEL_TRANSFERS, values.length) }, lane);
  // The others are waited for when one fails: a row still on its way could land on what its label stands for next.
  for (const result of await Promise.allSettled(lanes)) if (result.status === "rejected") throw result.reason;
}
