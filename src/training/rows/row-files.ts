import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { AttuneError } from "../../errors/index.js";

const FLOAT_BYTES = 4;

/** A file of fixed-size rows of little-endian float32, read a run of rows at a time. */
export class RowFile {
  readonly #descriptor: number;
  readonly #dimensions: number;
  readonly path: string;
  /** Whole rows in the file. */
  readonly count: number;

  constructor(path: string, dimensions: number) {
    this.path = path;
    this.#dimensions = dimensions;
    this.#descriptor = openSync(path, "r");
    this.count = Math.floor(fstatSync(this.#descriptor).size / (dimensions * FLOAT_BYTES));
  }

  /** Reads `count` rows from row `first` on into `target` at row `at`. */
  read(first: number, count: number, target: Float32Array, at = 0): void {
    const rowBytes = this.#dimensions * FLOAT_BYTES;
    const bytes = new Uint8Array(target.buffer, target.byteOffset + at * rowBytes, count * rowBytes);
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(this.#descriptor, bytes, done, bytes.length - done, first * rowBytes + done);
      if (read === 0) {
        throw new AttuneError(
          "fine_tune_failed",
          `${this.path} ends before row ${first + count - 1}; it holds ${this.count} rows of ${this.#dimensions} numbers`,
        );
      }
      done += read;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Reads a file of little-endian uint32. */
export function readLabels(path: string): Uint32Array {
  const bytes = readFileSync(path);
  const labels = new Uint32Array(Math.floor(bytes.length / 4));
  new Uint8Array(labels.buffer).set(bytes.subarray(0, labels.length * 4));
  return labels;
}

/** Rows by position, as training and judging see them: position i of n is an item. */
export interface RowSource {
  /** Number of rows. */
  readonly count: number;
  /** Copies rows `start` to `start + count` (exclusive) into `target` from row `at` on. */
  read(start: number, count: number, target: Float32Array, at?: number): void;
}

/** The live rows of a label-addressed file, as positions 0 to `labels.length - 1`. */
export class LiveRows implements RowSource {
  readonly #file: RowFile;
  readonly #labels: Uint32Array;

  constructor(file: RowFile, labels: Uint32Array) {
    this.#file = file;
    this.#labels = labels;
  }

  get count(): number {
    return this.#labels.length;
  }

  read(start: number, count: number, target: Float32Array, at = 0): void {
    // Labels mostly run on without a gap, and a run is one read.
    for (let i = 0; i < count; ) {
      const first = this.#labels[start + i] ?? 0;
      let length = 1;
      while (i + length < count && this.#labels[start + i + length] === first + length) length++;
      this.#file.read(first, length, target, at + i);
      i += length;
    }
  }
}

/** Rows in memory. */
export class MemoryRows implements RowSource {
  readonly rows: Float32Array;
  readonly #dimensions: number;

  constructor(rows: Float32Array, dimensions: number) {
    this.rows = rows;
    this.#dimensions = dimensions;
  }

  get count(): number {
    return this.rows.length / this.#dimensions;
  }

  read(start: number, count: number, target: Float32Array, at = 0): void {
    const d = this.#dimensions;
    target.set(this.rows.subarray(start * d, (start + count) * d), at * d);
  }
}
