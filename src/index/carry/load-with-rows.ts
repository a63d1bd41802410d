import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { hasNativeFunctions, hnswlib } from "../../native/index.js";
import { NO_NODE } from "../graph-nodes.js";
import { HnswGraph } from "../hnsw-graph.js";
import type { RowFile } from "../row-file.js";
import type { SnapshotHeader } from "../snapshot-file.js";
import { GraphFile } from "./graph-file.js";
import { NodeBlocks } from "./node-blocks.js";

/** Nodes whose rows are read at once. */
const ROWS_AT_ONCE = 1024;

/** A saved graph on its way to other vectors. */
interface Loading {
  path: string;
  file: GraphFile;
  header: SnapshotHeader;
  /** node -> label, 2^32 - 1 for tombstones. */
  labelOf: Uint32Array;
  rows: RowFile;
}

/**
 * Loads a saved graph with its links as they are and with our rows for vectors (see `NodeBlocks`). Its file is looked at, and its checksum
 * compared, before hnswlib sees it.
 *
 * @throws Error when the file is damaged, or a row is not there
 */
export function loadWithRows(path: string, header: SnapshotHeader, labelOf: Uint32Array, rows: RowFile): HnswGraph {
  const file = GraphFile.open(path, header);
  try {
    const loading = { path, file, header, labelOf, rows };
    return hasNativeFunctions(hnswlib) ? loadAndReplace(loading) : loadCopy(loading);
  } finally {
    file.close();
  }
}

/** Replaces the vectors in memory. */
function loadAndReplace(loading: Loading): HnswGraph {
  const { path, file, labelOf, rows, header } = loading;
  const blocks = new NodeBlocks(file, labelOf);
  const rowLabels = new Uint32Array(labelOf.length);
  for (const { first, labels } of blocks) rowLabels.set(labels, first);
  checkSum(blocks, header);
  const graph = load(path, loading);
  try {
    for (const piece of rowsOf(rowLabels, rows)) graph.replaceRows(piece.place, piece.rows);
    return graph;
  } catch (error) {
    graph.free();
    throw error;
  }
}

/** With npm's build of hnswlib-node, which cannot: by way of a second file, which is loaded and removed. */
function loadCopy(loading: Loading): HnswGraph {
  const copy = join(dirname(loading.path), `graph-${randomUUID()}.hnsw`);
  try {
    writeWithRows(copy, loading);
    return load(copy, loading);
  } finally {
    rmSync(copy, { force: true });
  }
}

function writeWithRows(path: string, { file, header, labelOf, rows }: Loading): void {
  const { words, vector } = file.layout;
  const { dimensions } = rows;
  const blocks = new NodeBlocks(file, labelOf);
  const descriptor = openSync(path, "wx");
  const append = (bytes: Buffer) => {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  };
  try {
    append(file.header());
    for (const { bytes, labels } of blocks) {
      const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      for (const piece of rowsOf(labels, rows)) {
        for (let i = 0; i * dimensions < piece.rows.length; i++) {
          const row = piece.rows.subarray(i * dimensions, (i + 1) * dimensions);
          floats.set(row, (piece.place + i) * words + vector);
        }
      }
      append(bytes);
    }
    append(file.upperLayers());
  } finally {
    closeSync(descriptor);
  }
  checkSum(blocks, header);
}

function load(path: string, { header: { m, efConstruction }, labelOf, rows }: Loading): HnswGraph {
  return HnswGraph.load(path, labelOf, rows.space, rows.dimensions, { m, efConstruction });
}

function checkSum({ checksum }: NodeBlocks, { graphCrc32 }: SnapshotHeader): void {
  if (checksum !== graphCrc32) throw new Error("its graph's checksum is wrong");
}

/** The preprocessed rows of the labels from `place` on; valid until the next piece is taken. */
interface Piece {
  place: number;
  rows: Float32Array;
}

/**
 * The rows of all labels that are there (not 2^32 - 1), in pieces. Threads that build side by side, and what waits in memory, leave labels in
 * some disorder, and the file is read fastest in the order of its rows: so they are read in that order, some at once.
 */
function* rowsOf(labels: Uint32Array, rows: RowFile): Generator<Piece> {
  const memory = new Float32Array(Math.min(ROWS_AT_ONCE, labels.length) * rows.dimensions);
  for (let start = 0; start < labels.length; start += ROWS_AT_ONCE) {
    const some = labels.subarray(start, start + ROWS_AT_ONCE);
    // Label and place in one number, which sorts without a function that compares.
    const keys = Float64Array.from(some, (label, place) => label * ROWS_AT_ONCE + place).sort();
    const known = keys.findLastIndex((key) => key < NO_NODE * ROWS_AT_ONCE) + 1;
    const sorted = Uint32Array.from(keys.subarray(0, known), (key) => Math.floor(key / ROWS_AT_ONCE));
    const read = rows.read(sorted, memory);
    const placeAt = (i: number) => (keys[i] as number) % ROWS_AT_ONCE;
    for (let first = 0, end = 1; first < known; first = end++) {
      while (end < known && placeAt(end) === placeAt(end - 1) + 1) end++;
      yield { place: start + placeAt(first), rows: read.subarray(first * rows.dimensions, end * rows.dimensions) };
    }
  }
}
