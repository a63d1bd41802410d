import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { ProviderChoice } from "../../runtime/index.js";
import { openSession } from "../../runtime/index.js";
import { floats, tensor } from "../engines/engine.js";
import { LiveRows, type RowFile } from "../rows/row-files.js";

const BLOCK_ROWS = 2_048;

export interface ReEmbedRequest {
  /** The head as ONNX: `base` (n, d) to `vector` (n, d). */
  head: Uint8Array;
  dimensions: number;
  rows: RowFile;
  labels: Uint32Array;
  /** File to write. */
  path: string;
  provider: ProviderChoice;
  threads: number;
  /** Called, and awaited, after each block. */
  onBlock: (rows: number) => Promise<void>;
}

/**
 * Writes every live item's vector to a file of float32 rows, row number = label, so that it holds the largest label + 1
 * rows; rows of labels that are not live are zero (a hole in the file). The file is on disk when this resolves.
 */
export async function reEmbed(request: ReEmbedRequest): Promise<void> {
  const { head, dimensions, labels, provider, threads } = request;
  const session = await openSession(head, { provider, threads });
  const live = new LiveRows(request.rows, labels);
  const descriptor = openSync(request.path, "w");
  try {
    let largest = -1;
    for (const label of labels) largest = Math.max(largest, label);
    ftruncateSync(descriptor, (largest + 1) * dimensions * 4);
    for (let start = 0; start < labels.length; start += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, labels.length - start);
      const base = new Float32Array(count * dimensions);
      live.read(start, count, base);
      const vectors = floats(await session.run({ base: tensor(base, [count, dimensions]) }), "vector");
      writeRows(descriptor, labels.subarray(start, start + count), vectors, dimensions);
      await request.onBlock(count);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
    await session.close();
  }
}

/** Writes each row at its label, a run of successive labels at a time. */
export function writeRows(descriptor: number, labels: Uint32Array, vectors: Float32Array, dimensions: number): void {
  const rowBytes = dimensions * 4;
  const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  for (let i = 0; i < labels.length; ) {
    const first = labels[i] ?? 0;
    let length = 1;
    while (i + length < labels.length && labels[i + length] === first + length) length++;
    let done = 0;
    while (done < length * rowBytes) {
      done += writeSync(descriptor, bytes, i * rowBytes + done, length * rowBytes - done, first * rowBytes + done);
    }
    i += length;
  }
}
