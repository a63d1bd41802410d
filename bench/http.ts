import path from "node:path";
import { AttuneClient, type CollectionClient } from "../src/client/index.js";
import { readArgs } from "./support/args.js";
import { type Bodies, repeatLoad, topIds, type VectorBody, writeQueryBodies } from "./support/collection-queries.js";
import { corpusItems, embedAll, insertAll } from "./support/corpus.js";
import { type IntentData, loadIntentData } from "./support/intent-data.js";
import { meanRecall, smallestEfSearch } from "./support/recall.js";
import { Report } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Queries over HTTP: vectors of 512 numbers in JSON or binary bodies, each client on a kept connection.",
  {
    data: { default: "banking77", describe: "banking77 or synthetic" },
    count: { default: 600, describe: "texts of the synthetic data" },
    clients: { default: [1, 8, 32], describe: "numbers of clients" },
    k: { default: 10, describe: "results of a query" },
    recall: { default: 0.99, describe: "recall@k to reach; the smallest efSearch that does is used" },
    seconds: { default: 5, describe: "of each measurement" },
    "warm-up": { default: 1, describe: "seconds before each measurement" },
    repeats: { default: 3, describe: "measurements of each; the best and the median are shown" },
    shards: { default: 1, describe: "shards of the index" },
    body: { default: "json", describe: "vectors as json arrays, base64 in JSON, or binary" },
    seed: { default: 1, describe: "of the synthetic data" },
  },
);

const report = new Report("http", args);
const data = loadIntentData(args.data, args);
const directory = temporaryDirectory();
const server = await startServerProcess({ data: path.join(directory, "data") });
const client = new AttuneClient({ baseUrl: server.url });
try {
  const { collection } = await client.createCollection("bench", { modality: "text", index: { shards: args.shards } });
  await ingest(collection, data);
  const queries = await embedAll(
    client,
    "bench",
    data.test.map(({ text }) => text),
  );
  const { efSearch, recall } = await chooseEfSearch(collection, queries);
  const file = path.join(directory, "bodies");
  const bodies = writeQueryBodies(file, queries, args.body as VectorBody, { k: args.k, efSearch });
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
  const exact = await topIds(collection, queries, { k: args.k, exact: true });
  return smallestEfSearch(args.k, args.recall, async (efSearch) => {
    const recall = meanRecall(await topIds(collection, queries, { k: args.k, efSearch }), exact);
    report.note(`efSearch ${efSearch}: recall@${args.k} ${recall.toFixed(4)}`);
    return recall;
  });
}

async function measure(clients: number, bodies: Bodies) {
  const task = {
    path: "/v1/collections/bench/query",
    ...bodies,
    clients,
    warmUpMs: args["warm-up"] * 1000,
    durationMs: args.seconds * 1000,
  };
  const { median, best, failures } = await repeatLoad(server.url, task, args.repeats);
  return { clients, QPS: median.qps, "best QPS": best, p50: median.p50, p99: median.p99, failures };
}
