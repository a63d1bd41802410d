import path from "node:path";
import { AttuneClient, type CollectionClient } from "../src/client/index.js";
import { readArgs } from "./support/args.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import { insertAll, waitForIndex } from "./support/corpus.js";
import { mean } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";
import { type ServerProcess, startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Seconds from the start of the server's process until a query is answered right, by how it ended before. Files are in\n" +
    "the system's cache, as after a restart of the process and not of the machine.",
  {
    count: { default: 100_000, describe: "items" },
    dimensions: { default: 512, describe: "of the vectors" },
    replaced: { default: 5_000, describe: "items that are replaced just before a kill" },
    repeats: { default: 3, describe: "starts of each kind" },
    seed: { default: 1, describe: "of the vectors" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke) Object.assign(args, { count: 500, dimensions: 16, replaced: 50, repeats: 1 });

const COLLECTION = "startup";

interface Start {
  answeredS: number;
  /** Until the graph holds all items. */
  completeS: number;
}

const report = new Report("startup", args);
const data = path.join(temporaryDirectory(), "data");
const vectors = rowsOf(clusteredVectors(args.seed, args.count, 0, args.dimensions).rows, args.dimensions);
let server: ServerProcess = await startServerProcess({ data });
try {
  await withCollection(async (collection, client) => {
    await client.createCollection(COLLECTION, { modality: "vector", dimensions: args.dimensions });
    const { indexedMs } = await insertAll(collection, toItems(vectors));
    report.note(`${args.count} items indexed after ${(indexedMs / 1000).toFixed(1)} s`);
  });
  const rows: Row[] = [];
  const last = { vector: vectors.at(-1) ?? new Float32Array(0), id: `v${vectors.length - 1}` };
  rows.push(await measure("a clean stop", () => server.stop().then(() => last)));
  rows.push(await measure("kill -9 while nothing was going on", () => server.kill().then(() => last)));
  rows.push(await measure("kill -9 right after the last of many writes", replaceAndKill));
  report.table(`${args.count} x ${args.dimensions}, seconds from the start of the process`, rows);
} finally {
  await server.stop();
}
report.save(args.json);

interface Expected {
  vector: Float32Array;
  id: string;
}

function toItems(of: readonly Float32Array[]) {
  return of.map((vector, i) => ({ id: `v${i}`, vector }));
}

/** The next start has to find the last vector that was acknowledged, though no snapshot of the index holds it. */
async function replaceAndKill(round: number): Promise<Expected> {
  const seed = args.seed + 1 + round;
  const others = rowsOf(clusteredVectors(seed, args.replaced, 0, args.dimensions).rows, args.dimensions);
  await withCollection(async (collection) => {
    for (let i = 0; i < others.length; i += 500) {
      await collection.upsert(toItems(others).slice(i, i + 500));
    }
  });
  await server.kill();
  const vector = others.at(-1) ?? new Float32Array(0);
  return { vector, id: `v${others.length - 1}` };
}

async function withCollection<T>(work: (collection: CollectionClient, client: AttuneClient) => Promise<T>): Promise<T> {
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  try {
    return await work(client.collection(COLLECTION), client);
  } finally {
    client.close();
  }
}

/** @param end ends the server and tells what a query has to find after the next start. */
async function measure(ended: string, end: (round: number) => Promise<Expected>): Promise<Row> {
  const starts: Start[] = [];
  const endings: number[] = [];
  for (let round = 0; round < args.repeats; round++) {
    const ending = performance.now();
    const expected = await end(round);
    endings.push((performance.now() - ending) / 1000);
    starts.push(await start(expected));
  }
  const answered = starts.map(({ answeredS }) => answeredS);
  return {
    "ended by": ended,
    starts: starts.length,
    "first right answer": mean(answered),
    slowest: Math.max(...answered),
    "graph complete": mean(starts.map(({ completeS }) => completeS)),
    "the end took": ended === "a clean stop" ? mean(endings) : undefined,
  };
}

/** @throws Error when the first answer is wrong: a server that answers must be right. */
async function start({ vector, id }: Expected): Promise<Start> {
  const started = performance.now();
  server = await startServerProcess({ data });
  return withCollection(async (collection) => {
    const { results } = await collection.query({ vector, k: 10 });
    const answeredS = (performance.now() - started) / 1000;
    if (results[0]?.id !== id) throw new Error(`the first answer has ${results[0]?.id} first, expected ${id}`);
    await waitForIndex(collection);
    return { answeredS, completeS: (performance.now() - started) / 1000 };
  });
}
