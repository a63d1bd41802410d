import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { AttuneError } from "../errors/index.js";
import { type MetricSpace, viewFloat32 } from "../vector/index.js";
import type { RowSource } from "./vector-index.js";

/** Rows this near in the file are read together: reading what lies between costs less than another system call. */
const MAX_GAP_BYTES = 8192;
/** The most that is read at once. */
const MAX_RUN_BYTES = 1024 * 1024;

/** Reads rows of a row file by label, prepared by a metric. Reads are synchronous: they come from the page cache. */
export class RowFile {
  readonly path: string;
  readonly dimensions: number;
  readonly space: MetricSpace;
  readonly #descriptor: number;
  #buffer = new Uint8Array(0);

  constructor(source: RowSource, space: MetricSpace) {
    this.path = source.path;
    this.dimensions = source.dimensions;
    this.space = space;
    this.#descriptor = openSync(source.path, "r");
  }

  /** How many whole rows the file has now. */
  rowCount(): number {
    return Math.floor(fstatSync(this.#descriptor).size / (this.dimensions * 4));
  }

  /**
   * The preprocessed rows of `labels`, in their order (labels.length x dimensions, flat). Ascending labels read fastest.
   *
   * @param into memory for them, of which they take the beginning; new where that is too small
   * @throws internal a row lies beyond the end of the file
   */
  read(labels: ArrayLike<number>, into?: Float32Array): Float32Array {
    const { dimensions } = this;
    const rowBytes = dimensions * 4;
    const bytes =
      into !== undefined && into.byteLength >= labels.length * rowBytes
        ? new Uint8Array(into.buffer, into.byteOffset, labels.length * rowBytes)
        : new Uint8Array(labels.length * rowBytes);
    for (let start = 0; start < labels.length; ) {
      const end = this.#runEnd(labels, start);
      const first = labels[start] as number;
      const count = (labels[end - 1] as number) - first + 1;
      const target = bytes.subarray(start * rowBytes, end * rowBytes);
      if (count === end - start) {
        this.#fill(target, first, count);
      } else {
        if (this.#buffer.length < count * rowBytes) this.#buffer = new Uint8Array(count * rowBytes);
        this.#fill(this.#buffer, first, count);
        for (let i = start; i < end; i++) {
          const offset = ((labels[i] as number) - first) * rowBytes;
          target.set(this.#buffer.subarray(offset, offset + rowBytes), (i - start) * rowBytes);
        }
      }
      start = end;
    }
    const rows = viewFloat32(bytes);
    this.space.preprocess(rows, dimensions);
    return rows;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** The end of the run of ascending, near labels that begins at `start`. */
  #runEnd(labels: ArrayLike<number>, start: number): number {
    const maxStep = 1 + Math.floor(MAX_GAP_BYTES / (this.dimensions * 4));
    const maxSpan = Math.floor(MAX_RUN_BYTES / (this.dimensions * 4));
    let end = start + 1;
    for (; end < labels.length; end++) {
      const step = (labels[end] as number) - (labels[end - 1] as number);
      const span = (labels[end] as number) - (labels[start] as number);
      if (step < 1 || step > maxStep || span >= maxSpan) break;
    }
    return end;
  }

  /** Reads `count` rows from `first` on into the beginning of `target`. */
  #fill(target: Uint8Array, first: number, count: number): void {
    const rowBytes = this.dimensions * 4;
    const bytes = count * rowBytes;
    for (let got = 0; got < bytes; ) {
      const read = readSync(this.#descriptor, target, got, bytes - got, first * rowBytes + got);
      if (read === 0) {
        throw new AttuneError(
          "internal",
          `the vector file ${this.path} has ${this.rowCount()} rows of ${this.dimensions} numbers, and row ${first + Math.floor(got / rowBytes)} was asked for; write rows before adding their labels`,
        );
      }
      got += read;
    }
  }
}
