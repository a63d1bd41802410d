import { closeSync, fstatSync, openSync, read, readFileSync, readSync } from "node:fs";
import { promisify } from "node:util";
import { AttuneError } from "../../errors/index.js";

const FLOAT_BYTES = 4;
const readAsync = promisify(read);

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
    const { bytes, position } = this.#place(first, count, target, at);
    for (let done = 0; done < bytes.length; ) {
      const got = readSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
      if (got === 0) throw this.#endsBefore(first + count);
      done += got;
    }
  }

  /** The same in a thread of the pool, while this one does something else. */
  async readAhead(first: number, count: number, target: Float32Array, at = 0): Promise<void> {
    const { bytes, position } = this.#place(first, count, target, at);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await readAsync(this.#descriptor, bytes, done, bytes.length - done, position + done);
      if (bytesRead === 0) throw this.#endsBefore(first + count);
      done += bytesRead;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #place(first: number, count: number, target: Float32Array, at: number) {
    const rowBytes = this.#dimensions * FLOAT_BYTES;
    const bytes = new Uint8Array(target.buffer, target.byteOffset + at * rowBytes, count * rowBytes);
    return { bytes, position: first * rowBytes };
  }

  #endsBefore(row: number): AttuneError {
    return new AttuneError(
      "fine_tune_failed",
      `${this.path} ends before row ${row - 1}; it holds ${this.count} rows of ${this.#dimensions} numbers`,
    );
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

/** Labels mostly run on without a gap, and a run is one read or write: `length` of them from `first` on, at `start + offset` of the list. */
export function* successiveRuns(
  list: Uint32Array,
  start = 0,
  count = list.length - start,
): Generator<{ first: number; length: number; offset: number }> {
  for (let offset = 0; offset < count; ) {
    const first = list[start + offset] ?? 0;
    let length = 1;
    while (offset + length < count && list[start + offset + length] === first + length) length++;
    yield { first, length, offset };
    offset += length;
  }
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
    for (const { first, length, offset } of successiveRuns(this.#labels, start, count)) {
      this.#file.read(first, length, target, at + offset);
    }
  }

  /** The same in a thread of the pool: `count` rows from `start` on. */
  async readAhead(start: number, count: number, dimensions: number): Promise<Float32Array> {
    const rows = new Float32Array(count * dimensions);
    for (const { first, length, offset } of successiveRuns(this.#labels, start, count)) {
      await this.#file.readAhead(first, length, rows, offset);
    }
    return rows;
  }
}

/** Some rows of a source, by their positions there, ascending. */
export class RowsAt implements RowSource {
  readonly #source: RowSource;
  readonly #positions: Uint32Array;

  constructor(source: RowSource, positions: Uint32Array) {
    this.#source = source;
    this.#positions = positions;
  }

  get count(): number {
    return this.#positions.length;
  }

  read(start: number, count: number, target: Float32Array, at = 0): void {
    for (const { first, length, offset } of successiveRuns(this.#positions, start, count)) {
      this.#source.read(first, length, target, at + offset);
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
