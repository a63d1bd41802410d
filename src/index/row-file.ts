import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { AttuneError } from "../errors/index.js";
import { decodeFloat32, type MetricSpace } from "../vector/index.js";
import type { RowSource } from "./vector-index.js";

/** Rows this near in the file are read together: reading what lies between costs less than another system call. */
const MAX_GAP_BYTES = 8192;

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
   * @throws internal a row lies beyond the end of the file
   */
  read(labels: ArrayLike<number>): Float32Array {
    const { dimensions } = this;
    const rows = new Float32Array(labels.length * dimensions);
    for (let start = 0; start < labels.length; ) {
      const end = this.#runEnd(labels, start);
      const first = labels[start] as number;
      const run = this.#readRun(first, (labels[end - 1] as number) - first + 1);
      for (let i = start; i < end; i++) {
        const offset = ((labels[i] as number) - first) * dimensions;
        rows.set(run.subarray(offset, offset + dimensions), i * dimensions);
      }
      start = end;
    }
    this.space.preprocess(rows, dimensions);
    return rows;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** The end of the run of ascending, near labels that begins at `start`. */
  #runEnd(labels: ArrayLike<number>, start: number): number {
    const maxStep = 1 + Math.floor(MAX_GAP_BYTES / (this.dimensions * 4));
    let end = start + 1;
    for (; end < labels.length; end++) {
      const step = (labels[end] as number) - (labels[end - 1] as number);
      if (step < 1 || step > maxStep) break;
    }
    return end;
  }

  #readRun(first: number, count: number): Float32Array {
    const rowBytes = this.dimensions * 4;
    const bytes = count * rowBytes;
    if (this.#buffer.length < bytes) this.#buffer = new Uint8Array(bytes);
    for (let got = 0; got < bytes; ) {
      const read = readSync(this.#descriptor, this.#buffer, got, bytes - got, first * rowBytes + got);
      if (read === 0) {
        throw new AttuneError(
          "internal",
          `the vector file ${this.path} has ${this.rowCount()} rows of ${this.dimensions} numbers, and row ${first + Math.floor(got / rowBytes)} was asked for; write rows before adding their labels`,
        );
      }
      got += read;
    }
    return decodeFloat32(this.#buffer.subarray(0, bytes));
  }
}
