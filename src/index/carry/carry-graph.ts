import { randomUUID } from "node:crypto";
import { copyFileSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { metricOf } from "../../vector/index.js";
import { Bitmap } from "../bitmap.js";
import { NO_NODE } from "../graph-nodes.js";
import type { EngineOptions } from "../hnsw-messages.js";
import { RowFile } from "../row-file.js";
import { type LoadedSnapshot, readSnapshotHeader, removeLeftovers, replaceHeaderUnsynced } from "../snapshot.js";
import type { SnapshotHeader } from "../snapshot-file.js";
import { GraphFile } from "./graph-file.js";
import { loadWithRows } from "./load-with-rows.js";

/** Vectors of the old graph that are compared with the rows that it was built of. */
const SPOT_CHECKS = 32;
/** Share of them that must agree: some rows may have been replaced since the snapshot was taken. */
const AGREEING = 0.75;

/**
 * Takes over the saved graph of another index over the same labels: its links are kept, and its vectors are our rows. A change of the
 * embedding moves vectors, but neighbours stay mostly neighbours, so this is a usable graph at once; it is provisional, because a graph
 * built of these rows finds more with less. Labels whose content is newer than the snapshot are left to be built in.
 *
 * What is saved of it is a second name of the other's graph, and a header that says so: the next opening puts in our rows again.
 * Nothing is synced: where a crash damages the header, the graph is built from nothing.
 *
 * @returns undefined when there is nothing to take over; where it cannot be used, the log says why
 */
export function carryGraph(
  options: EngineOptions,
  rows: RowFile,
  log: (message: string) => void,
): LoadedSnapshot | undefined {
  const { carry, snapshotDirectory: directory } = options;
  if (carry === undefined || directory === undefined) return undefined;
  const graphFile = `graph-${randomUUID()}.hnsw`;
  const path = join(directory, graphFile);
  try {
    mkdirSync(directory, { recursive: true });
    const { header, labelOf } = takeOver(options, carry, path);
    forgetUnknown(labelOf, header.sequence, options);
    // One that was taken over itself was compared then, and has vectors of rows that may be gone.
    if (!header.carried) spotCheck(path, header, labelOf, options, carry.rows);
    const graph = loadWithRows(path, header, labelOf, rows);
    const { identity, lastSequence } = options;
    const sequence = Math.min(header.sequence, lastSequence);
    const ours = { ...header, identity, sequence, graphFile, provisional: true, carried: true };
    replaceHeaderUnsynced(directory, ours, labelOf);
    removeLeftovers(directory, graphFile);
    return { graph, sequence, provisional: true };
  } catch (error) {
    rmSync(path, { force: true });
    log(`the graph in ${carry.snapshotDirectory} is not kept, a new one is built: ${(error as Error).message}`);
    return undefined;
  }
}

/** Gives the graph of the other index, which may save itself meanwhile, a second name: then the graph that its header names has just gone. */
function takeOver(
  options: EngineOptions,
  { snapshotDirectory, identity }: NonNullable<EngineOptions["carry"]>,
  path: string,
): { header: SnapshotHeader; labelOf: Uint32Array } {
  for (let attempt = 0; ; attempt++) {
    // It may have been saved since what is live was looked at: labels that were used again meanwhile are caught up with.
    const expected = { ...options, identity, lastSequence: Number.POSITIVE_INFINITY };
    const snapshot = readSnapshotHeader(snapshotDirectory, expected);
    try {
      linkOrCopy(join(snapshotDirectory, snapshot.header.graphFile), path);
      return snapshot;
    } catch (error) {
      if (attempt > 0 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** A copy where the file system has no links. A file of a graph is never written to again. */
function linkOrCopy(existing: string, path: string): void {
  try {
    linkSync(existing, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw error;
    copyFileSync(existing, path);
  }
}

/** Leaves the labels in `labelOf` that stand for the same content as when the graph was saved. */
function forgetUnknown(labelOf: Uint32Array, sequence: number, { live }: EngineOptions): void {
  const known = new Bitmap();
  live.labels.forEach((label, i) => {
    if ((live.sequences[i] as number) <= sequence) known.set(label);
  });
  for (let node = 0; node < labelOf.length; node++) {
    if (!known.has(labelOf[node] as number)) labelOf[node] = NO_NODE;
  }
}

/** What stands where the layout puts vectors must be the rows that the old graph was built of, bit for bit. */
function spotCheck(
  path: string,
  header: SnapshotHeader,
  labelOf: Uint32Array,
  { metric }: EngineOptions,
  source: EngineOptions["rows"],
): void {
  const graph = GraphFile.open(path, header);
  const rows = new RowFile(source, metricOf(metric));
  let checked = 0;
  let agreeing = 0;
  try {
    const stride = Math.max(1, Math.floor(labelOf.length / SPOT_CHECKS));
    for (let node = 0; node < labelOf.length; node += stride) {
      const label = labelOf[node] as number;
      if (label === NO_NODE) continue;
      const inGraph = new Float32Array(graph.nodes(node, 1).buffer, graph.layout.vector * 4, source.dimensions);
      checked++;
      if (rows.read([label]).every((x, i) => x === inGraph[i])) agreeing++;
    }
    if (agreeing < checked * AGREEING) {
      throw new Error(`of ${checked} vectors looked at in its graph, ${agreeing} are the rows of ${source.path}`);
    }
  } finally {
    rows.close();
    graph.close();
  }
}
