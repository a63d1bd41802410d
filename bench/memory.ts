import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneClient, type CollectionClient, type Job } from "../src/client/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { rowsOf } from "./support/clustered-vectors.js";
import { insertAll, waitForRebuild } from "./support/corpus.js";
import { classTriplets, learnableVectors } from "./support/learnable-vectors.js";
import { forgetPeak, peakResidentBytes, residentBytes } from "./support/process-memory.js";
import { Report, type Row } from "./support/report.js";
import { type ServerProcess, startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Resident memory of the server: empty with its encoder loaded, filled, started again, and at its peak while a fine-tuned\n" +
    "generation takes over and its graph is built. The training is a process of its own. Linux only.",
  {
    count: { default: 100_000, describe: "items" },
    dimensions: { default: 512, describe: "of the vectors" },
    m: { default: 16, describe: "links of a point" },
    triplets: { default: 1000, describe: "feedback of the fine-tune" },
    settle: { default: 10, describe: "seconds of rest before memory is looked at" },
    seed: { default: 1, describe: "of the vectors and the training" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke) Object.assign(args, { count: 500, dimensions: 16, triplets: 50, settle: 0.1 });

const MIB = 2 ** 20;
const COLLECTION = "memory";

/**
 * Bytes of the vectors and of the links as hnswlib keeps them: 2 m + 1 numbers of 4 bytes on the lowest level, m + 1 on each
 * of the others, of which a point has 1 / (m - 1) on average.
 */
const expectedBytes = args.count * 4 * (args.dimensions + 2 * args.m + 1 + (args.m + 1) / (args.m - 1));

const report = new Report("memory", args);
const data = path.join(temporaryDirectory(), "data");
const { rows: flat, classOfRow } = learnableVectors(args.seed, args.count, 0, args.dimensions);
let server: ServerProcess = await startServerProcess({ data });
try {
  const table: Row[] = [];
  await withServer(async (client) => {
    await client.createCollection("texts", { modality: "text" });
    await client.embed({ model: "texts", input: "so that the encoder is loaded" });
  });
  const empty = await settled();
  table.push(row("empty, encoder loaded", empty, empty));
  const stated = await withServer(async (client) => {
    const settings = { modality: "vector", dimensions: args.dimensions, index: { m: args.m } } as const;
    const { collection } = await client.createCollection(COLLECTION, settings);
    const items = rowsOf(flat, args.dimensions).map((vector, i) => ({ id: `v${i}`, vector }));
    const { indexedMs } = await insertAll(collection, items);
    report.note(`${args.count} items indexed after ${(indexedMs / 1000).toFixed(1)} s`);
    return (await collection.info()).status.bytesInMemory;
  });
  table.push({ ...row("filled over HTTP", await settled(), empty), "stated by its status, MiB": stated / MIB });
  await server.stop();
  server = await startServerProcess({ data });
  await withServer((client) => client.embed({ model: "texts", input: "so that the encoder is loaded" }));
  const before = await settled();
  table.push(row("started again", before, empty));
  forgetPeak(server.pid);
  const job = await withServer((client) => fineTune(client.collection(COLLECTION)));
  table.push(row("peak from the fine-tune to the new graph", peakResidentBytes(server.pid), empty));
  table.push(row(`after the switch (${job.status})`, await settled(), empty));
  report.table(`${args.count} x ${args.dimensions}, vectors and graph ${(expectedBytes / MIB).toFixed(0)} MiB`, table);
  const training = job.peakMemoryBytes === undefined ? undefined : job.peakMemoryBytes / MIB;
  report.table("beside the server", [{ "peak of the training process, MiB": training, "job s": jobSeconds(job) }]);
} finally {
  await server.stop();
}
report.save(args.json);

/** What is not needed any more is given back a while after a request. */
async function settled(): Promise<number> {
  await sleep(args.settle * 1000);
  return residentBytes(server.pid);
}

function row(when: string, bytes: number, empty: number): Row {
  const growth = bytes - empty;
  return {
    when,
    "resident, MiB": bytes / MIB,
    "growth, MiB": growth / MIB,
    "growth to vectors and graph": growth / expectedBytes,
  };
}

async function withServer<T>(work: (client: AttuneClient) => Promise<T>): Promise<T> {
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** The switch is what is looked at here, so it happens whether anything was learnt or not. */
async function fineTune(collection: CollectionClient): Promise<Job> {
  const drawn = classTriplets(new Random(args.seed), classOfRow, args.triplets);
  const triplets = drawn.map(({ anchor, positive, negative }) => ({
    anchor: `v${anchor}`,
    positive: `v${positive}`,
    negative: `v${negative}`,
  }));
  await collection.submitFeedback({ triplets });
  const { id } = await collection.startFineTune({ promote: "always", seed: args.seed });
  const job = await collection.waitForFineTune(id);
  await waitForRebuild(collection);
  return job;
}

function jobSeconds({ timings }: Job): number | undefined {
  return timings.totalMs === undefined ? undefined : timings.totalMs / 1000;
}
