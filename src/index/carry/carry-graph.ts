import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { metricOf } from "../../vector/index.js";
import { Bitmap } from "../bitmap.js";
import type { EngineOptions } from "../hnsw-messages.js";
import { RowFile } from "../row-file.js";
import { readSnapshotHeader, replaceHeaderUnsynced } from "../snapshot.js";
import type { SnapshotHeader } from "../snapshot-file.js";
import { GraphFile } from "./graph-file.js";

/** Bytes of the graph worked on at once. */
const BLOCK_BYTES = 4 * 1024 * 1024;
/** Vectors of the old graph that are compared with the rows that it was built of. */
const SPOT_CHECKS = 32;
/** Share of them that must agree: some rows may have been replaced since the snapshot was taken. */
const AGREEING = 0.75;
const NO_LABEL = 0xffff_ffff;

/** The labels of a block's nodes whose rows become their vectors, and the nodes (by their place in the block) they are for. */
interface Transfer {
  labels: number[];
  places: number[];
}

/**
 * Makes a snapshot out of that of another index over the same labels: its links are kept, and its vectors are those of our rows. A change
 * of the embedding moves vectors, but neighbours stay mostly neighbours, so this is a usable graph at once; it is marked provisional,
 * because a graph built of these rows finds more with less. Labels whose content is newer than the snapshot are left to be built in.
 *
 * Nothing is synced: what a crash damages the checksum finds out, and the graph is built from nothing then.
 *
 * @returns the name of its graph's file; where there is none, the log says why
 */
export function carryGraph(options: EngineOptions, rows: RowFile, log: (message: string) => void): string | undefined {
  const { carry, snapshotDirectory: target, live } = options;
  if (carry === undefined || target === undefined) return undefined;
  const graphFile = `graph-${randomUUID()}.hnsw`;
  const path = join(target, graphFile);
  try {
    mkdirSync(target, { recursive: true });
    const { header, labelOf, graph } = openSource(options, carry);
    try {
      const known = new Bitmap();
      live.labels.forEach((label, i) => {
        if ((live.sequences[i] as number) <= header.sequence) known.set(label);
      });
      for (let node = 0; node < labelOf.length; node++) {
        if (!known.has(labelOf[node] as number)) labelOf[node] = NO_LABEL;
      }
      spotCheck(graph, labelOf, options, carry.rows);
      const { sourceCrc32, graphCrc32 } = copyWithRows(graph, labelOf, rows, path);
      if (sourceCrc32 !== header.graphCrc32) throw new Error("its graph's checksum is wrong");
      const { identity, lastSequence } = options;
      const sequence = Math.min(header.sequence, lastSequence);
      replaceHeaderUnsynced(
        target,
        { ...header, identity, sequence, graphFile, graphCrc32, provisional: true },
        labelOf,
      );
      return graphFile;
    } finally {
      graph.close();
    }
  } catch (error) {
    rmSync(path, { force: true });
    log(`the graph in ${carry.snapshotDirectory} is not kept, a new one is built: ${(error as Error).message}`);
    return undefined;
  }
}

/** Opens header and graph of the other index, which may save itself meanwhile: then the graph that the header names has just gone. */
function openSource(
  options: EngineOptions,
  carry: NonNullable<EngineOptions["carry"]>,
): { header: SnapshotHeader; labelOf: Uint32Array; graph: GraphFile } {
  for (let attempt = 0; ; attempt++) {
    // It may have been saved since what is live was looked at: labels that were used again meanwhile are caught up with.
    const expected = { ...options, identity: carry.identity, lastSequence: Number.POSITIVE_INFINITY };
    const { header, labelOf } = readSnapshotHeader(carry.snapshotDirectory, expected);
    const { nodes, m, efConstruction, dimensions } = header;
    try {
      const path = join(carry.snapshotDirectory, header.graphFile);
      const graph = GraphFile.open(path, { nodes, m, efConstruction, dimensions });
      if (graph.bytes === header.graphBytes) return { header, labelOf, graph };
      graph.close();
      throw new Error(`its graph has ${graph.bytes} bytes, expected ${header.graphBytes}`);
    } catch (error) {
      if (attempt > 0 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** What stands where the layout puts vectors must be the rows that the old graph was built of, bit for bit. */
function spotCheck(
  graph: GraphFile,
  labelOf: Uint32Array,
  options: EngineOptions,
  source: EngineOptions["rows"],
): void {
  const { vector } = graph.layout;
  const rows = new RowFile(source, metricOf(options.metric));
  let checked = 0;
  let agreeing = 0;
  try {
    const stride = Math.max(1, Math.floor(labelOf.length / SPOT_CHECKS));
    for (let node = 0; node < labelOf.length; node += stride) {
      const label = labelOf[node] as number;
      if (label === NO_LABEL) continue;
      const inGraph = new Float32Array(graph.nodes(node, 1).buffer, vector * 4, source.dimensions);
      checked++;
      if (rows.read([label]).every((x, i) => x === inGraph[i])) agreeing++;
    }
    if (agreeing < checked * AGREEING) {
      throw new Error(`of ${checked} vectors looked at in its graph, ${agreeing} are the rows of ${source.path}`);
    }
  } finally {
    rows.close();
  }
}

/** Writes the graph with new vectors, block by block; returns the checksums of what was read and of what was written. */
function copyWithRows(
  graph: GraphFile,
  labelOf: Uint32Array,
  rows: RowFile,
  path: string,
): { sourceCrc32: number; graphCrc32: number } {
  const { nodes } = graph.shape;
  const { words, vector } = graph.layout;
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / (words * 4)));
  const file = openSync(path, "wx");
  let sourceCrc32 = 0;
  let graphCrc32 = 0;
  const taken = (bytes: Buffer) => {
    sourceCrc32 = crc32(bytes, sourceCrc32);
    return bytes;
  };
  const append = (bytes: Buffer) => {
    graphCrc32 = crc32(bytes, graphCrc32);
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
  };
  try {
    append(taken(graph.header()));
    for (let first = 0; first < nodes; first += perBlock) {
      const bytes = taken(graph.nodes(first, Math.min(perBlock, nodes - first)));
      const { labels, places } = transferOf(graph, bytes, first, labelOf);
      const floats = new Float32Array(bytes.buffer);
      const vectors = rows.read(labels);
      places.forEach((place, i) => {
        const row = vectors.subarray(i * rows.dimensions, (i + 1) * rows.dimensions);
        floats.set(row, place * words + vector);
      });
      append(bytes);
    }
    append(taken(graph.upperLayers()));
  } finally {
    closeSync(file);
  }
  return { sourceCrc32, graphCrc32 };
}

/**
 * Which row each node of a block gets: that of its label. A node without a live label is still walked through, so it gets the row of a
 * node it is linked to: left where it was, it would lead astray.
 *
 * @throws Error when a node is not what hnswlib's layout and our way of numbering nodes make it
 */
function transferOf(graph: GraphFile, bytes: Buffer, first: number, labelOf: Uint32Array): Transfer {
  const { layout, shape } = graph;
  const numbers = new Uint32Array(bytes.buffer);
  const transfer: Transfer = { labels: [], places: [] };
  for (let place = 0; place * layout.words < numbers.length; place++) {
    const start = place * layout.words;
    const node = first + place;
    // The number takes two bytes; the third is hnswlib's mark of a deletion, which we never make.
    const count = numbers[start] as number;
    const links = numbers.subarray(start + layout.links, start + layout.links + Math.min(count, 2 * shape.m));
    if (count > 2 * shape.m || links.some((link) => link >= shape.nodes)) {
      throw new Error(`the links of its node ${node} are damaged`);
    }
    if (numbers[start + layout.label] !== node || numbers[start + layout.label + 1] !== 0) {
      throw new Error(`its node ${node} has another label, ${numbers[start + layout.label]}`);
    }
    let label = labelOf[node] as number;
    for (let i = 0; label === NO_LABEL && i < links.length; i++) label = labelOf[links[i] as number] as number;
    if (label === NO_LABEL) continue;
    transfer.labels.push(label);
    transfer.places.push(place);
  }
  return transfer;
}
