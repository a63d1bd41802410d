import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneClient, type CollectionClient, type Job } from "../src/client/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { corpusItems, embedAll, insertAll } from "./support/corpus.js";
import { loadIntentData } from "./support/intent-data.js";
import { drawTriplets, fineTuneWith } from "./support/intent-protocol.js";
import { type Load, runLoad } from "./support/load.js";
import type { LoadResult } from "./support/load-messages.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Query latency at a fixed rate, idle and during a fine-tune with writes going on; then whether the new generation holds\n" +
    "the writes made meanwhile, and whether a rollback keeps them.",
  {
    data: { default: "banking77", describe: "banking77 or synthetic" },
    count: { default: 600, describe: "texts of the synthetic data" },
    rate: { default: 100, describe: "queries a second" },
    queries: { default: "vector", describe: "vector or text; texts go through the encoder" },
    triplets: { default: 1000, describe: "feedback of the fine-tune" },
    seconds: { default: 10, describe: "of the idle measurement" },
    "write-every": { default: 200, describe: "milliseconds between writes during the fine-tune; 0 writes nothing" },
    seed: { default: 1, describe: "of the triplets and the training" },
  },
);

const COLLECTION = "intents";
const CLIENTS = 16;

const report = new Report("latency", args);
const data = loadIntentData(args.data, { count: args.count });
const directory = temporaryDirectory();
const server = await startServerProcess({ data: path.join(directory, "data") });
const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
try {
  const { collection } = await client.createCollection(COLLECTION, { modality: "text" });
  await insertAll(collection, corpusItems(data.train));
  const bodies = await writeBodies();
  const triplets = await drawTriplets(collection, data.train, args.triplets, new Random(args.seed), false);
  const task = {
    path: `/v1/collections/${COLLECTION}/query`,
    bodies,
    clients: CLIENTS,
    rate: args.rate,
    warmUpMs: 2_000,
  };
  const idle = await runLoad(server.url, { ...task, durationMs: args.seconds * 1000 });
  const { during, job, wallMs, written } = await measureDuring(collection, task, () =>
    fineTuneWith(collection, triplets, args.seed),
  );
  const bound = Math.max(2 * idle.p99, 20);
  report.table(`latency in ms at ${args.rate} ${args.queries} queries/s`, [
    { when: "idle", ...figures(idle) },
    { when: `during a fine-tune (${(wallMs / 1000).toFixed(1)} s, ${job.status})`, ...figures(during) },
  ]);
  report.table("the larger of 2 x idle and 20 ms", [{ bound, "p99 during": during.p99, within: during.p99 <= bound }]);
  report.table("writes made meanwhile", await checkWrites(collection, written));
} finally {
  client.close();
  await server.stop();
}
report.save(args.json);

async function writeBodies(): Promise<string> {
  const texts = data.test.map(({ text }) => text);
  const vectors = args.queries === "vector" ? await embedAll(client, COLLECTION, texts) : [];
  const lines = texts.map((text, i) => {
    const vector = vectors[i];
    return JSON.stringify(vector === undefined ? { text, k: 10 } : { vector: Array.from(vector), k: 10 });
  });
  const file = path.join(directory, "bodies.ndjson");
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

function figures({ requests, failures, p50, p90, p99, max }: LoadResult): Row {
  return { requests, failures, p50, p90, p99, max };
}

interface During {
  during: LoadResult;
  job: Job;
  wallMs: number;
  written: string[];
}

/** The load runs a while before the job and is measured in slices of a second until the job has ended. */
async function measureDuring(
  collection: CollectionClient,
  task: Omit<Load, "durationMs"> & { path: string },
  fineTune: () => Promise<{ job: Job; wallMs: number }>,
): Promise<During> {
  const started = fineTune();
  let ended = false;
  const watch = started.finally(() => {
    ended = true;
  });
  const written = writeMeanwhile(collection, () => ended);
  // The length of the job is not known before; the load process ends when told so.
  const during = await runLoad(server.url, { ...task, warmUpMs: 0, durationMs: 600_000 }, watch);
  return { during, ...(await started), written: await written };
}

async function writeMeanwhile(collection: CollectionClient, ended: () => boolean): Promise<string[]> {
  const written: string[] = [];
  while (!ended() && args["write-every"] > 0) {
    const id = `written-${written.length}`;
    await collection.upsert([
      { id, text: `written meanwhile, number ${written.length}`, payload: { meanwhile: true } },
    ]);
    written.push(id);
    await sleep(args["write-every"]);
  }
  return written;
}

/** In the new generation, and after going back to the first one. */
async function checkWrites(collection: CollectionClient, written: readonly string[]): Promise<Row[]> {
  const after = await findAll(collection, "after the fine-tune", written);
  const { id } = await collection.activate(0);
  const rollback = await collection.waitForFineTune(id);
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
