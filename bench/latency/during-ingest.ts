import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AttuneClient, CollectionClient } from "../../src/client/index.js";
import { clusteredVectors, rowsOf } from "../support/clustered-vectors.js";
import { type Bodies, type VectorBody, writeItemBodies } from "../support/collection-queries.js";
import { waitForIndex } from "../support/corpus.js";
import { runLoad } from "../support/load.js";
import type { LoadResult } from "../support/load-messages.js";
import { loadBetween } from "../support/load-result.js";
import type { Report, Row } from "../support/report.js";
import { loadOf, type Queries, withinBound } from "./queries.js";

export interface IngestSettings {
  /** Vectors that are there before. */
  filled: number;
  /** Vectors that are inserted meanwhile. */
  inserted: number;
  dimensions: number;
  /** Vectors of a request. */
  batch: number;
  /** Numbers of requests at the same time. */
  clients: number[];
  bodies: VectorBody[];
  seed: number;
}

const COLLECTION = "vectors";
const DIFFERENT_QUERIES = 1_000;
/** Until a load process has read its bodies. */
const LOAD_START_MS = 500;

/** Latencies of queries in a collection of vectors: idle, while many more are inserted at full speed, and until the graph has them all. */
export async function measureIngest(
  url: string,
  client: AttuneClient,
  asked: Queries,
  settings: IngestSettings,
  report: Report,
): Promise<void> {
  const { filled, inserted, dimensions, seed } = settings;
  const made = clusteredVectors(seed, filled + inserted, DIFFERENT_QUERIES, dimensions);
  const vectors = rowsOf(made.rows, dimensions);
  const lines = rowsOf(made.queries, dimensions).map((vector) => JSON.stringify({ vector: Array.from(vector), k: 10 }));
  const rows: Row[] = [];
  for (const body of settings.bodies) {
    const file = path.join(asked.directory, "inserts");
    const bodies = writeItemBodies(file, inBatches(vectors, filled, settings.batch), body);
    for (const clients of settings.clients) {
      const { collection } = await client.createCollection(COLLECTION, { modality: "vector", dimensions });
      for (const { ids, vectors: some } of inBatches(vectors.slice(0, filled), 0, settings.batch))
        await collection.upsertVectors(ids, some);
      await waitForIndex(collection);
      const phases = await measurePhases(url, collection, asked, lines, bodies, clients);
      rows.push(...toRows(phases, `${body}, ${clients} ${clients === 1 ? "client" : "clients"}`, inserted));
      await collection.delete();
    }
  }
  const what = `${inserted} x ${dimensions} are inserted in batches of ${settings.batch}, ${filled} there before`;
  report.table(`latency in ms at ${asked.rate} vector queries/s while ${what}`, rows);
}

function* inBatches(vectors: readonly Float32Array[], from: number, batch: number) {
  for (let start = from; start < vectors.length; start += batch) {
    const some = vectors.slice(start, start + batch);
    yield { ids: some.map((_, i) => `v${start + i}`), vectors: some };
  }
}

interface Phases {
  idle: LoadResult;
  inserting: LoadResult;
  /** From the last acknowledgement until no item is outside the graph. */
  lagging: LoadResult;
}

/** One load of queries goes through all phases, and is cut at what the other processes tell of their clocks. */
async function measurePhases(
  url: string,
  collection: CollectionClient,
  asked: Queries,
  lines: readonly string[],
  bodies: Bodies,
  clients: number,
): Promise<Phases> {
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const task = { ...loadOf(asked, collection.name, lines), samples: true, durationMs: 600_000 };
  const load = runLoad(url, task, stopped);
  try {
    await sleep(LOAD_START_MS + task.warmUpMs + asked.seconds * 1000);
    const idleUntil = Date.now();
    const inserts = {
      path: `/v1/collections/${collection.name}/items`,
      ...bodies,
      clients,
      warmUpMs: 0,
      durationMs: 0,
    };
    const { samples: sent = [], failures } = await runLoad(url, { ...inserts, once: true, samples: true });
    if (failures > 0) throw new Error(`${failures} inserts failed`);
    await waitForIndex(collection);
    const drained = Date.now();
    stop();
    const { samples: queries = [] } = await load;
    const started = Math.min(...sent.map(({ at }) => at));
    const acknowledged = Math.max(...sent.map(({ at, ms }) => at + ms));
    return {
      idle: loadBetween(queries, idleUntil - asked.seconds * 1000, idleUntil),
      inserting: loadBetween(queries, started, acknowledged),
      lagging: loadBetween(queries, acknowledged, drained),
    };
  } finally {
    stop();
  }
}

function toRows({ idle, inserting, lagging }: Phases, inserts: string, inserted: number): Row[] {
  const rate = Math.round(inserted / inserting.seconds).toLocaleString("en-US");
  const row = (when: string, { requests, failures, p50, p90, p99, max }: LoadResult): Row => ({
    inserts,
    when,
    requests,
    failures,
    p50,
    p90,
    p99,
    max,
  });
  return [
    { ...row("idle", idle), bound: undefined, within: undefined },
    { ...row(`until all are acknowledged (${rate}/s)`, inserting), ...withinBound(inserting, idle) },
    { ...row(`until the lag is 0 (${lagging.seconds.toFixed(1)} s)`, lagging), ...withinBound(lagging, idle) },
  ];
}
