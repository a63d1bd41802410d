import { writeFileSync } from "node:fs";
import path from "node:path";
import { AttuneClient, type CollectionClient } from "../src/client/index.js";
import { readArgs } from "./support/args.js";
import { corpusItems, embedAll, insertAll } from "./support/corpus.js";
import { type IntentData, loadIntentData } from "./support/intent-data.js";
import { runLoad } from "./support/load.js";
import { mean } from "./support/percentile.js";
import { Report } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs("Queries over HTTP: JSON bodies with vectors of 512 numbers, each client on a kept connection.", {
  data: { default: "banking77", describe: "banking77 or synthetic" },
  count: { default: 600, describe: "texts of the synthetic data" },
  clients: { default: [1, 8, 32], describe: "numbers of clients" },
  k: { default: 10, describe: "results of a query" },
  recall: { default: 0.99, describe: "recall@k to reach; the smallest efSearch that does is used" },
  seconds: { default: 5, describe: "of each measurement" },
  "warm-up": { default: 1, describe: "seconds before each measurement" },
  repeats: { default: 3, describe: "measurements of each; the best and the median are shown" },
  body: { default: "json", describe: "vectors as json arrays or base64" },
  seed: { default: 1, describe: "of the synthetic data" },
});

const EF_LADDER = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512];

const report = new Report("http", args);
const data = loadIntentData(args.data, args);
const directory = temporaryDirectory();
const server = await startServerProcess({ data: path.join(directory, "data") });
const client = new AttuneClient({ baseUrl: server.url });
try {
  const { collection } = await client.createCollection("bench", { modality: "text" });
  await ingest(collection, data);
  const queries = await embedAll(
    client,
    "bench",
    data.test.map(({ text }) => text),
  );
  const { efSearch, recall } = await chooseEfSearch(collection, queries);
  const bodies = path.join(directory, "bodies.ndjson");
  writeBodies(bodies, queries, efSearch);
  const rows = [];
  for (const clients of args.clients)
    rows.push({ ...(await measure(clients, bodies)), efSearch, [`recall@${args.k}`]: recall });
  report.table(
    `${data.name}, ${data.train.length} x ${queries[0]?.length ?? 0}, k ${args.k}, ${args.body} bodies`,
    rows,
  );
} finally {
  client.close();
  await server.stop();
}
report.save(args.json);

async function ingest(collection: CollectionClient, { train }: IntentData): Promise<void> {
  const { acknowledgedMs, indexedMs } = await insertAll(collection, corpusItems(train));
  report.note(
    `${train.length} texts in after ${(acknowledgedMs / 1000).toFixed(1)} s, indexed after ${(indexedMs / 1000).toFixed(1)} s`,
  );
}

async function chooseEfSearch(collection: CollectionClient, queries: readonly Float32Array[]) {
  const exact = await topIds(collection, queries, { exact: true });
  for (const efSearch of EF_LADDER.filter((ef) => ef >= args.k)) {
    const found = await topIds(collection, queries, { efSearch });
    const recall = mean(found.map((ids, i) => share(ids, exact[i])));
    report.note(`efSearch ${efSearch}: recall@${args.k} ${recall.toFixed(4)}`);
    if (recall >= args.recall) return { efSearch, recall };
  }
  throw new Error(`no efSearch up to ${EF_LADDER.at(-1)} reaches recall ${args.recall}`);
}

async function topIds(
  collection: CollectionClient,
  queries: readonly Float32Array[],
  how: { exact?: boolean; efSearch?: number },
) {
  const found: Set<string>[] = [];
  for (let i = 0; i < queries.length; i += 200) {
    const part = queries.slice(i, i + 200).map((vector) => ({ vector, k: args.k, withPayload: false, ...how }));
    const { results } = await collection.queryBatch(part);
    found.push(...results.map((hits) => new Set(hits.map(({ id }) => id))));
  }
  return found;
}

function share(found: ReadonlySet<string>, expected: ReadonlySet<string> = new Set()): number {
  return [...expected].filter((id) => found.has(id)).length / Math.max(1, expected.size);
}

function writeBodies(file: string, queries: readonly Float32Array[], efSearch: number): void {
  const asBase64 = (vector: Float32Array) =>
    Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
  const lines = queries.map((query) => {
    const vector = args.body === "base64" ? asBase64(query) : Array.from(query);
    return JSON.stringify({ vector, k: args.k, efSearch });
  });
  writeFileSync(file, `${lines.join("\n")}\n`);
}

async function measure(clients: number, bodies: string) {
  const task = {
    path: "/v1/collections/bench/query",
    bodies,
    clients,
    warmUpMs: args["warm-up"] * 1000,
    durationMs: args.seconds * 1000,
  };
  const runs = [];
  for (let i = 0; i < args.repeats; i++) runs.push(await runLoad(server.url, task));
  runs.sort((a, b) => a.qps - b.qps);
  const median = runs[Math.floor(runs.length / 2)];
  if (median === undefined) throw new Error("--repeats must be at least 1");
  const failures = runs.reduce((sum, run) => sum + run.failures, 0);
  return { clients, QPS: median.qps, "best QPS": runs.at(-1)?.qps, p50: median.p50, p99: median.p99, failures };
}
