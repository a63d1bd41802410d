import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneClient, type CollectionClient, type Job } from "../src/client/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { rowsOf } from "./support/clustered-vectors.js";
import { type Bodies, sufficientEfSearch, topIds, writeQueryBodies } from "./support/collection-queries.js";
import { insertAll, waitForRebuild } from "./support/corpus.js";
import { classTriplets, type LearnableVectors, learnableVectors } from "./support/learnable-vectors.js";
import { runLoad } from "./support/load.js";
import { mean, percentile } from "./support/percentile.js";
import { meanRecall } from "./support/recall.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Feedback to live: from the request of a head's fine-tune until a query is answered by the new generation, against the\n" +
    "number of items; what part took how long; recall and queries a second before, at the switch and later, with the same efSearch\n" +
    "and with the smallest that suffices there, and before once more: a rebuild takes a minute, in which a machine's speed may change.",
  {
    sizes: { default: [10_000, 30_000, 100_000], describe: "numbers of items" },
    dimensions: { default: 512, describe: "of the vectors" },
    triplets: { default: 1000, describe: "feedback" },
    queries: { default: 300, describe: "queries that recall and precision are measured with" },
    recall: { default: 0.99, describe: "recall@10 before; the smallest efSearch that reaches it is the collection's" },
    clients: { default: 8, describe: "that ask at the same time, for queries a second" },
    seconds: { default: 3, describe: "of each measurement of queries a second" },
    repeats: {
      default: 3,
      describe: "measurements, the median counts; at the switch one, for the new graph takes over soon",
    },
    seed: { default: 1, describe: "of the vectors, the triplets and the training" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke) {
  Object.assign(args, {
    sizes: [1000],
    dimensions: 256,
    triplets: 200,
    queries: 20,
    clients: 2,
    seconds: 0.2,
    repeats: 1,
  });
}

const COLLECTION = "reembed";
const K = 10;
/** Each look takes .7 ms of a core, which the training wants. */
const POLL_MS = 25;
const NOTED_MS = 10_000;

interface State {
  efSearch: number;
  recall: number;
  precision: number;
  QPS: number;
}

const report = new Report("reembed", args);
const live: Row[] = [];
const search: Row[] = [];
const parts: Row[] = [];
for (const size of args.sizes) await measure(size);
report.table(`from the request to its results, ${args.dimensions} dimensions, ${args.triplets} triplets`, live);
report.table("search before, at the switch and with the graph built anew", search);
report.table("what part took how long, ms", parts);
report.save(args.json);

async function measure(size: number): Promise<void> {
  const data = learnableVectors(args.seed, size, args.queries, args.dimensions);
  const directory = temporaryDirectory();
  const server = await startServerProcess({ data: path.join(directory, "data") });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  try {
    const collection = await fill(client, data);
    const file = path.join(directory, "bodies");
    const bodies = writeQueryBodies(file, rowsOf(data.queries, args.dimensions), "base64", { k: K });
    const look = (repeats = args.repeats) => stateOf(collection, data, server.url, bodies, repeats);
    const before = await look();
    const started = performance.now();
    const { id } = await collection.startFineTune({ seed: args.seed });
    const servedS = await untilServed(collection, id, data.queries.subarray(0, args.dimensions), started);
    const atSwitch = servedS === undefined ? undefined : await look(1);
    await collection.waitForFineTune(id);
    await waitForRebuild(collection);
    const rebuiltS = servedS === undefined ? undefined : (performance.now() - started) / 1000;
    const job = await finished(collection, id);
    const after = await look();
    const ownEfSearch =
      servedS === undefined ? undefined : await chooseEfSearch(collection, data.queries).then(() => look());
    await collection.patch({ index: { efSearch: before.efSearch } });
    const again = servedS === undefined ? undefined : await activated(collection, data.queries).then(() => look());
    report.note(`${size} items: ${job.status} ${job.reason ?? ""}, ${JSON.stringify(job.timings)}`);
    live.push(liveRow(size, job, servedS, rebuiltS));
    search.push(stateRow(size, "before", before, before));
    if (atSwitch !== undefined) search.push(stateRow(size, "at the switch", atSwitch, before));
    search.push(stateRow(size, "graph built anew", after, again ?? before));
    if (ownEfSearch !== undefined)
      search.push(stateRow(size, "graph built anew, its own efSearch", ownEfSearch, again ?? before));
    if (again !== undefined) search.push(stateRow(size, "before, activated again", again, again));
    parts.push({ items: size, ...job.timings });
  } finally {
    client.close();
    await server.stop();
  }
}

/** Items, the width of search that the recall takes, and feedback. */
async function fill(client: AttuneClient, data: LearnableVectors): Promise<CollectionClient> {
  const settings = { modality: "vector", dimensions: args.dimensions } as const;
  const { collection } = await client.createCollection(COLLECTION, settings);
  const items = rowsOf(data.rows, args.dimensions).map((vector, i) => ({ id: `v${i}`, vector }));
  const { indexedMs } = await insertAll(collection, items);
  report.note(`${items.length} items indexed after ${(indexedMs / 1000).toFixed(1)} s`);
  await chooseEfSearch(collection, data.queries);
  const drawn = classTriplets(new Random(args.seed), data.classOfRow, args.triplets);
  const triplets = drawn.map(({ anchor, positive, negative }) => ({
    anchor: `v${anchor}`,
    positive: `v${positive}`,
    negative: `v${negative}`,
  }));
  await collection.submitFeedback({ triplets });
  return collection;
}

/** Makes the smallest efSearch that reaches the recall the collection's. */
async function chooseEfSearch(collection: CollectionClient, queries: Float32Array): Promise<void> {
  const efSearch = await sufficientEfSearch(collection, rowsOf(queries, args.dimensions), K, args.recall);
  await collection.patch({ index: { efSearch } });
}

/** Asks again and again until another generation than the first answers; undefined when the job ends without one. */
async function untilServed(
  collection: CollectionClient,
  id: string,
  vector: Float32Array,
  started: number,
): Promise<number | undefined> {
  let ended = false;
  const watch = collection.waitForFineTune(id).finally(() => {
    ended = true;
  });
  for (;;) {
    const last = ended;
    const { generation } = await collection.query({ vector, k: K });
    if (generation !== 0) return (performance.now() - started) / 1000;
    if (last) break;
    await sleep(POLL_MS);
  }
  await watch;
  return undefined;
}

/** Goes back to the first generation, whose graph is on disk. */
async function activated(collection: CollectionClient, queries: Float32Array): Promise<void> {
  await collection.activate(0);
  const vector = queries.subarray(0, args.dimensions);
  while ((await collection.query({ vector, k: K })).generation !== 0) await sleep(POLL_MS);
  await waitForRebuild(collection);
}

/** The job, with the time of the rebuild, which is noted when the provisional graph has been closed. */
async function finished(collection: CollectionClient, id: string): Promise<Job> {
  for (const until = performance.now() + NOTED_MS; ; await sleep(POLL_MS)) {
    const job = await collection.fineTune(id);
    const isRebuilt = job.index?.kept !== true || job.timings.rebuildMs !== undefined;
    if (isRebuilt || performance.now() > until) return job;
  }
}

/** Recall against exact search in the same generation, and the share of results that have the query's class. */
async function stateOf(
  collection: CollectionClient,
  { queries: flat, classOfQuery, classOfRow }: LearnableVectors,
  url: string,
  bodies: Bodies,
  repeats: number,
): Promise<State> {
  const queries = rowsOf(flat, args.dimensions);
  const found = await topIds(collection, queries, { k: K });
  const exact = await topIds(collection, queries, { k: K, exact: true });
  const right = found.map(
    (ids, i) => [...ids].filter((id) => classOfRow[Number(id.slice(1))] === classOfQuery[i]).length / K,
  );
  const task = { path: `/v1/collections/${COLLECTION}/query`, ...bodies, clients: args.clients, warmUpMs: 200 };
  const rates: number[] = [];
  while (rates.length < repeats) rates.push((await runLoad(url, { ...task, durationMs: args.seconds * 1000 })).qps);
  const middle = percentile(
    rates.sort((a, b) => a - b),
    0.5,
  );
  const { efSearch } = (await collection.info()).index;
  return { efSearch, recall: meanRecall(found, exact), precision: mean(right), QPS: middle };
}

function liveRow(items: number, job: Job, servedS: number | undefined, rebuiltS: number | undefined): Row {
  const { swapMs, rebuildMs } = job.timings;
  return {
    items,
    outcome: job.status,
    "served s": servedS,
    "rebuilt s": rebuiltS,
    "graph kept": job.index?.kept,
    "swap to rebuild": swapMs === undefined || rebuildMs === undefined ? undefined : swapMs / rebuildMs,
    "efSearch times": job.index?.breadth,
    "gain, low": job.metrics?.improvement.low,
  };
}

/** @param nearest the measurement of the state before that is nearest in time */
function stateRow(items: number, when: string, { efSearch, recall, precision, QPS }: State, nearest: State): Row {
  return { items, when, efSearch, "recall@10": recall, "P@10": precision, QPS, "QPS to before": QPS / nearest.QPS };
}
