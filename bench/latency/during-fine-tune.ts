import { setTimeout as sleep } from "node:timers/promises";
import type { AttuneClient, CollectionClient, Job } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { corpusItems, embedAll, insertAll } from "../support/corpus.js";
import type { IntentData } from "../support/intent-data.js";
import { drawTriplets, fineTuneWith } from "../support/intent-protocol.js";
import { runLoad } from "../support/load.js";
import type { LoadResult } from "../support/load-messages.js";
import type { Report, Row } from "../support/report.js";
import { loadOf, type Queries, withinBound } from "./queries.js";

export interface FineTuneSettings {
  /** `vector` or `text`. */
  queries: string;
  triplets: number;
  "write-every": number;
  seed: number;
}

const COLLECTION = "intents";

/**
 * Latencies of queries in a collection of texts: idle, and during a fine-tune with writes going on; then whether the new generation
 * holds the writes made meanwhile, and whether a rollback keeps them.
 */
export async function measureFineTune(
  url: string,
  client: AttuneClient,
  data: IntentData,
  asked: Queries,
  settings: FineTuneSettings,
  report: Report,
): Promise<void> {
  const { collection } = await client.createCollection(COLLECTION, { modality: "text" });
  await insertAll(collection, corpusItems(data.train));
  const lines = await queryLines(
    client,
    data.test.map(({ text }) => text),
    settings.queries,
  );
  const task = loadOf(asked, COLLECTION, lines);
  const triplets = await drawTriplets(collection, data.train, settings.triplets, new Random(settings.seed), false);
  const idle = await runLoad(url, { ...task, durationMs: asked.seconds * 1000 });
  const started = fineTuneWith(collection, triplets, settings.seed);
  let ended = false;
  const watch = started.finally(() => {
    ended = true;
  });
  const written = writeMeanwhile(collection, settings["write-every"], () => ended);
  // The length of the job is not known before; the load process ends when told so.
  const during = await runLoad(url, { ...task, warmUpMs: 0, durationMs: 600_000 }, watch);
  const { job, wallMs } = await started;
  report.table(`latency in ms at ${asked.rate} ${settings.queries} queries/s`, [
    { when: "idle", ...figures(idle) },
    { when: `during a fine-tune (${(wallMs / 1000).toFixed(1)} s, ${job.status})`, ...figures(during) },
  ]);
  report.table("the larger of 2 x idle and 20 ms", [{ "p99 during": during.p99, ...withinBound(during, idle) }]);
  report.table("writes made meanwhile", await checkWrites(collection, await written));
}

async function queryLines(client: AttuneClient, texts: readonly string[], queries: string): Promise<string[]> {
  if (queries === "text") return texts.map((text) => JSON.stringify({ text, k: 10 }));
  const vectors = await embedAll(client, COLLECTION, texts);
  return vectors.map((vector) => JSON.stringify({ vector: Array.from(vector), k: 10 }));
}

function figures({ requests, failures, p50, p90, p99, max }: LoadResult): Row {
  return { requests, failures, p50, p90, p99, max };
}

async function writeMeanwhile(collection: CollectionClient, everyMs: number, ended: () => boolean): Promise<string[]> {
  const written: string[] = [];
  while (!ended() && everyMs > 0) {
    const id = `written-${written.length}`;
    await collection.upsert([
      { id, text: `written meanwhile, number ${written.length}`, payload: { meanwhile: true } },
    ]);
    written.push(id);
    await sleep(everyMs);
  }
  return written;
}

/** In the new generation, and after going back to the first one. */
async function checkWrites(collection: CollectionClient, written: readonly string[]): Promise<Row[]> {
  const after = await findAll(collection, "after the fine-tune", written);
  const { id } = await collection.activate(0);
  const rollback: Job = await collection.waitForFineTune(id);
  const back = await findAll(collection, `after the rollback (${rollback.status})`, written);
  return [after, back];
}

async function findAll(collection: CollectionClient, when: string, written: readonly string[]): Promise<Row> {
  let found = 0;
  let generation = -1;
  for (const [i, id] of written.entries()) {
    const result = await collection.query({ text: `written meanwhile, number ${i}`, k: 1, exact: true });
    generation = result.generation;
    if (result.results[0]?.id === id) found += 1;
  }
  return { when, generation, written: written.length, "found first by their text": found };
}
