import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { AttuneError } from "../errors/index.js";
import { HNSWLIB_VERSION } from "../native/index.js";
import { metricOf } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { loadWithRows } from "./carry/load-with-rows.js";
import { HnswGraph } from "./hnsw-graph.js";
import type { EngineOptions } from "./hnsw-messages.js";
import type { RowFile } from "./row-file.js";
import { decodeSnapshotHeader, encodeSnapshotHeader, type SnapshotHeader } from "./snapshot-file.js";

const HEADER_FILE = "index.snapshot";
const GRAPH_FILE = /^graph-[0-9a-f-]+\.hnsw$/;
const CHUNK_BYTES = 1024 * 1024;
/** Rows of the graph compared with the row file at loading. */
const SPOT_CHECKS = 32;

type SnapshotOptions = Pick<EngineOptions, "identity" | "metric">;

export interface LoadedSnapshot {
  graph: HnswGraph;
  sequence: number;
  provisional: boolean;
}

/**
 * Saves a graph: first the graph file under a new name, then the header, renamed into place, which makes it the
 * snapshot. Until then the old one is valid; afterwards its files are removed.
 *
 * @throws internal the disk did not take the whole graph
 */
export async function writeSnapshot(
  directory: string,
  graph: HnswGraph,
  sequence: number,
  { identity, metric }: SnapshotOptions,
): Promise<void> {
  // The table is taken before the first await: labels removed while hnswlib writes belong to later sequences.
  const labelOf = graph.labelTable();
  await mkdir(directory, { recursive: true });
  const graphFile = `graph-${randomUUID()}.hnsw`;
  const graphPath = join(directory, graphFile);
  try {
    await graph.write(graphPath);
    const sums = await syncAndSum(graphPath);
    const least = labelOf.length * graph.dimensions * 4;
    if (sums.bytes < least) {
      throw new AttuneError(
        "internal",
        `the index snapshot ${graphPath} has ${sums.bytes} bytes, at least ${least} were expected; is the disk full?`,
      );
    }
    const header: SnapshotHeader = {
      hnswlib: HNSWLIB_VERSION,
      identity,
      metric,
      dimensions: graph.dimensions,
      ...graph.parameters,
      nodes: labelOf.length,
      sequence,
      graphFile,
      graphBytes: sums.bytes,
      graphCrc32: sums.crc32,
    };
    await replaceFile(directory, HEADER_FILE, encodeSnapshotHeader(header, labelOf));
  } catch (error) {
    await rm(graphPath, { force: true });
    throw error;
  }
  for (const name of await readdir(directory)) {
    if (isLeftover(name, graphFile)) await rm(join(directory, name), { force: true });
  }
}

/**
 * Loads the snapshot of a directory and removes what earlier attempts left there. A snapshot that is damaged, foreign
 * or of other settings is refused before hnswlib sees it, with a log line.
 *
 * @returns undefined when there is none, none that can be used, or none wanted
 */
export function loadSnapshot(
  options: EngineOptions,
  rows: RowFile,
  live: Bitmap,
  log: (message: string) => void,
): LoadedSnapshot | undefined {
  const { snapshotDirectory: directory, fresh } = options;
  if (directory === undefined || fresh) return undefined;
  mkdirSync(directory, { recursive: true });
  let current: string | undefined;
  try {
    if (!existsSync(join(directory, HEADER_FILE))) return undefined;
    const { header, labelOf } = readSnapshotHeader(directory, options);
    current = header.graphFile;
    const path = join(directory, current);
    const graph = header.carried ? loadWithRows(path, header, labelOf, rows) : loadAsSaved(path, header, labelOf);
    checkRows(graph, header.sequence, rows, live, options);
    return { graph, sequence: header.sequence, provisional: header.provisional === true };
  } catch (error) {
    current = undefined;
    log(`the index snapshot in ${directory} is not used, the index is rebuilt: ${(error as Error).message}`);
    rmSync(join(directory, HEADER_FILE), { force: true });
    return undefined;
  } finally {
    removeLeftovers(directory, current);
  }
}

function loadAsSaved(path: string, header: SnapshotHeader, labelOf: Uint32Array): HnswGraph {
  checkGraphFile(path, header);
  const { m, efConstruction, dimensions, metric } = header;
  return HnswGraph.load(path, labelOf, metricOf(metric), dimensions, { m, efConstruction });
}

/** The header of the snapshot in a directory. @throws Error when there is none, or none of such an index */
export function readSnapshotHeader(
  directory: string,
  options: EngineOptions,
): { header: SnapshotHeader; labelOf: Uint32Array } {
  const decoded = decodeSnapshotHeader(readFileSync(join(directory, HEADER_FILE)));
  checkHeader(decoded.header, options);
  return decoded;
}

/** Makes a graph file of the directory the snapshot, in one step, but not one that a power failure must not undo. */
export function replaceHeaderUnsynced(directory: string, header: SnapshotHeader, labelOf: Uint32Array): void {
  const temporary = join(directory, `${HEADER_FILE}.tmp`);
  writeFileSync(temporary, encodeSnapshotHeader(header, labelOf));
  renameSync(temporary, join(directory, HEADER_FILE));
}

function checkHeader(header: SnapshotHeader, options: EngineOptions): void {
  const expected = {
    hnswlib: HNSWLIB_VERSION,
    identity: options.identity,
    metric: options.metric,
    dimensions: options.rows.dimensions,
    m: options.parameters.m,
    efConstruction: options.parameters.efConstruction,
  };
  for (const [field, value] of Object.entries(expected)) {
    const got = header[field as keyof SnapshotHeader];
    if (got !== value) throw new Error(`its ${field} is ${JSON.stringify(got)}, expected ${JSON.stringify(value)}`);
  }
  if (header.sequence > options.lastSequence) {
    throw new Error(`its sequence is ${header.sequence}, but the newest write is ${options.lastSequence}`);
  }
  if (!GRAPH_FILE.test(header.graphFile)) throw new Error(`its graph file has a strange name, ${header.graphFile}`);
}

function checkGraphFile(path: string, header: SnapshotHeader): void {
  const { size } = statSync(path);
  if (size !== header.graphBytes) throw new Error(`its graph has ${size} bytes, expected ${header.graphBytes}`);
  const descriptor = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let sum = 0;
    for (let read = readSync(descriptor, chunk); read > 0; read = readSync(descriptor, chunk)) {
      sum = crc32(chunk.subarray(0, read), sum);
    }
    if (sum !== header.graphCrc32) throw new Error("its graph's checksum is wrong");
  } finally {
    closeSync(descriptor);
  }
}

/** Compares some rows of the graph with the file: a sound snapshot of other vectors is found out here. */
function checkRows(graph: HnswGraph, sequence: number, rows: RowFile, live: Bitmap, options: EngineOptions): void {
  const { labels, sequences } = options.live;
  const stride = Math.max(1, Math.floor(labels.length / SPOT_CHECKS));
  for (let i = 0; i < labels.length; i += stride) {
    const label = labels[i] as number;
    if (!live.has(label) || !graph.has(label) || (sequences[i] as number) > sequence) continue;
    const inFile = rows.read([label]);
    if (!graph.row(label).every((x, j) => x === inFile[j])) {
      throw new Error(`its vector of row ${label} is not the one in ${rows.path}`);
    }
  }
}

async function syncAndSum(path: string): Promise<{ bytes: number; crc32: number }> {
  const file = await open(path, "r+");
  try {
    await file.sync();
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let bytes = 0;
    let sum = 0;
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return { bytes, crc32: sum };
      sum = crc32(chunk.subarray(0, bytesRead), sum);
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}

async function replaceFile(directory: string, name: string, content: Buffer): Promise<void> {
  const temporary = join(directory, `${name}.tmp`);
  const file = await open(temporary, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, name));
  // The rename itself is on disk once the directory is; Windows cannot sync one, and does not need to.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what earlier attempts left in a directory, when an index is opened. */
export function removeLeftovers(directory: string, current: string | undefined): void {
  for (const name of readdirSync(directory)) {
    if (isLeftover(name, current)) rmSync(join(directory, name), { force: true });
  }
}

/** Files of snapshots that were never completed, or are no longer the current one. */
function isLeftover(name: string, current: string | undefined): boolean {
  return name === `${HEADER_FILE}.tmp` || (GRAPH_FILE.test(name) && name !== current);
}
