import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { NO_NODE } from "../graph-nodes.js";
import { HnswGraph } from "../hnsw-graph.js";
import { hasNativeSearch, hnswlib } from "../hnswlib.js";
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
    return hasNativeSearch(hnswlib) ? loadAndReplace(loading) : loadCopy(loading);
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
    for (const { start, end } of runsWithRows(rowLabels)) {
      graph.replaceRows(start, readInAnyOrder(rows, rowLabels.subarray(start, end)));
    }
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
      for (const { start, end } of runsWithRows(labels)) {
        const read = readInAnyOrder(rows, labels.subarray(start, end));
        for (let place = start; place < end; place++) {
          const row = (place - start) * dimensions;
          floats.set(read.subarray(row, row + dimensions), place * words + vector);
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

/** Runs of nodes that get a row, none too long. */
function* runsWithRows(labels: Uint32Array): Generator<{ start: number; end: number }> {
  for (let start = 0; start < labels.length; ) {
    let end = start;
    while (end < labels.length && end < start + ROWS_AT_ONCE && labels[end] !== NO_NODE) end++;
    if (end > start) yield { start, end };
    start = Math.max(end, start + 1);
  }
}

/**
 * The preprocessed rows of `labels`, in their order. Threads that build side by side leave neighbouring labels in some disorder, and the file
 * is read fastest in the order of its rows.
 */
function readInAnyOrder(rows: RowFile, labels: Uint32Array): Float32Array {
  const { dimensions } = rows;
  // Label and place in one number, which sorts without a function that compares.
  const sorted = Float64Array.from(labels, (label, place) => label * ROWS_AT_ONCE + place).sort();
  const read = rows.read(Uint32Array.from(sorted, (key) => Math.floor(key / ROWS_AT_ONCE)));
  if (sorted.every((key, i) => key % ROWS_AT_ONCE === i)) return read;
  const ordered = new Float32Array(read.length);
  sorted.forEach((key, i) => {
    ordered.set(read.subarray(i * dimensions, (i + 1) * dimensions), (key % ROWS_AT_ONCE) * dimensions);
  });
  return ordered;
}
