import path from "node:path";
import { AttuneClient, type CollectionClient, type Filter } from "../src/client/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import {
  type Bodies,
  sufficientEfSearch,
  summariseLoads,
  topIds,
  type VectorBody,
  writeQueryBodies,
} from "./support/collection-queries.js";
import { insertAll } from "./support/corpus.js";
import { runLoad } from "./support/load.js";
import type { LoadResult } from "./support/load-messages.js";
import { meanRecall } from "./support/recall.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Queries over HTTP whose filter lets a random part of the items through, beside queries without a filter, all at the\n" +
    "smallest efSearch that reaches the recall without one.",
  {
    count: { default: 100_000, describe: "items" },
    dimensions: { default: 512, describe: "of the vectors" },
    queries: { default: 500, describe: "different queries" },
    percent: { default: [50, 10, 1], describe: "of the items that a filter lets through" },
    clients: { default: [1, 8], describe: "numbers of clients" },
    k: { default: 10, describe: "results of a query" },
    recall: { default: 0.99, describe: "recall@k to reach without a filter" },
    seconds: { default: 5, describe: "of each measurement" },
    "warm-up": { default: 1, describe: "seconds before each measurement" },
    repeats: { default: 3, describe: "rounds over all of them; the median is shown" },
    body: { default: "base64", describe: "vectors as json arrays, base64 in JSON, or binary" },
    seed: { default: 1, describe: "of the vectors and of what a filter lets through" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke)
  Object.assign(args, { count: 500, dimensions: 16, queries: 20, clients: [2], seconds: 0.3, repeats: 1 });

interface Case {
  name: string;
  filter?: Filter;
  bodies: Bodies;
  recall: number;
  matching: number;
}

const report = new Report("filter", args);
const directory = temporaryDirectory();
const { rows, queries: flat } = clusteredVectors(args.seed, args.count, args.queries, args.dimensions);
const queries = rowsOf(flat, args.dimensions);
const server = await startServerProcess({ data: path.join(directory, "data") });
const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
try {
  const settings = { modality: "vector", dimensions: args.dimensions } as const;
  const { collection } = await client.createCollection("bench", settings);
  await insert(collection);
  const efSearch = await sufficientEfSearch(collection, queries, args.k, args.recall);
  const cases: Case[] = [await prepare(collection, "no filter", undefined, efSearch)];
  for (const percent of args.percent) {
    const filter = { must: [{ key: "percentile", range: { lt: percent } }] };
    cases.push(await prepare(collection, `${percent}%`, filter, efSearch));
  }
  const table: Row[] = [];
  for (const clients of args.clients) table.push(...(await measureAll(cases, clients)));
  report.table(`${args.count} x ${args.dimensions}, k ${args.k}, efSearch ${efSearch}, ${args.body} bodies`, table);
} finally {
  client.close();
  await server.stop();
}
report.save(args.json);

/** An item's payload has a number of [0, 100) that has nothing to do with its vector. */
async function insert(collection: CollectionClient): Promise<void> {
  const random = new Random(args.seed);
  const items = rowsOf(rows, args.dimensions).map((vector, i) => ({
    id: `v${i}`,
    vector,
    payload: { percentile: 100 * random.uniform() },
  }));
  const { indexedMs } = await insertAll(collection, items);
  report.note(`${args.count} items indexed after ${(indexedMs / 1000).toFixed(1)} s`);
}

async function prepare(
  collection: CollectionClient,
  name: string,
  filter: Filter | undefined,
  efSearch: number,
): Promise<Case> {
  const how = { k: args.k, filter };
  const exact = await topIds(collection, queries, { ...how, exact: true });
  const recall = meanRecall(await topIds(collection, queries, { ...how, efSearch }), exact);
  const file = path.join(directory, name);
  const bodies = writeQueryBodies(file, queries, args.body as VectorBody, { ...how, efSearch });
  return { name, filter, bodies, recall, matching: await collection.count(filter) };
}

/** In rounds over all cases, so that what slows the machine for a while slows them all. */
async function measureAll(cases: readonly Case[], clients: number): Promise<Row[]> {
  const runs = new Map<Case, LoadResult[]>();
  for (let round = 0; round < args.repeats; round++) {
    for (const each of cases) {
      const task = {
        path: "/v1/collections/bench/query",
        ...each.bodies,
        clients,
        warmUpMs: args["warm-up"] * 1000,
        durationMs: args.seconds * 1000,
      };
      runs.set(each, [...(runs.get(each) ?? []), await runLoad(server.url, task)]);
    }
  }
  const loads = cases.map((each) => summariseLoads(runs.get(each) ?? []));
  const unfiltered = loads[0]?.median.qps ?? Number.NaN;
  return cases.map(({ name, matching, recall }, i) => {
    const { median, failures } = loads[i] ?? summariseLoads([]);
    return {
      filter: name,
      matching,
      clients,
      QPS: median.qps,
      "to no filter": median.qps / unfiltered,
      p50: median.p50,
      p99: median.p99,
      [`recall@${args.k}`]: recall,
      failures,
    };
  });
}
