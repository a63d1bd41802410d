import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Load } from "../support/load.js";
import type { LoadResult } from "../support/load-messages.js";
import type { Row } from "../support/report.js";

/** How it is asked, whatever else is going on. */
export interface Queries {
  /** A second. */
  rate: number;
  /** Of an idle measurement. */
  seconds: number;
  /** Temporary, for bodies. */
  directory: string;
}

const CLIENTS = 16;
/** Latencies below this are good enough, in milliseconds. */
const GOOD_MS = 20;

/** The queries to a collection at a fixed rate, their bodies given as lines of JSON. */
export function loadOf(
  { rate, directory }: Queries,
  collection: string,
  lines: readonly string[],
): Omit<Load, "durationMs"> & { path: string } {
  const bodies = path.join(directory, `${collection}.ndjson`);
  writeFileSync(bodies, lines.map((line) => `${line}\n`).join(""));
  return { path: `/v1/collections/${collection}/query`, bodies, clients: CLIENTS, rate, warmUpMs: 2_000 };
}

/** Whether p99 is within the larger of twice that of an idle server and 20 ms. */
export function withinBound(during: LoadResult, idle: LoadResult): Row {
  const bound = Math.max(2 * idle.p99, GOOD_MS);
  return { bound, within: during.p99 <= bound };
}
