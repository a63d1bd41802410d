import path from "node:path";
import { AttuneClient, type CollectionClient, type ItemToSend } from "../src/client/index.js";
import { readArgs } from "./support/args.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import { corpusItems, waitForIndex } from "./support/corpus.js";
import { loadIntentData } from "./support/intent-data.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Durable inserts over HTTP: items acknowledged a second, and the time until the graph holds them all.",
  {
    count: { default: 10_003, describe: "vectors" },
    dimensions: { default: 512, describe: "of the vectors" },
    batch: { default: 500, describe: "items of a request" },
    clients: { default: [1, 4], describe: "requests at the same time" },
    texts: { default: 3_000, describe: "texts, through the built-in encoder; 0 leaves them out" },
    data: { default: "banking77", describe: "texts of banking77 or synthetic" },
    durability: { default: "fsync", describe: "fsync or os" },
    seed: { default: 1, describe: "of the vectors" },
  },
);

const report = new Report("ingest", args);
const server = await startServerProcess({
  data: path.join(temporaryDirectory(), "data"),
  args: ["--durability", args.durability],
});
const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
const rows: Row[] = [];
try {
  const vectors = rowsOf(clusteredVectors(args.seed, args.count, 0, args.dimensions).rows, args.dimensions);
  const asArrays = vectors.map((vector, i): ItemToSend => ({ id: `v${i}`, vector: Array.from(vector) }));
  const asBase64 = vectors.map((vector, i): ItemToSend => ({ id: `v${i}`, vector }));
  const settings = { modality: "vector", dimensions: args.dimensions } as const;
  for (const clients of args.clients) {
    rows.push(await measure("vectors, JSON arrays", settings, asArrays, clients));
    rows.push(await measure("vectors, base64", settings, asBase64, clients));
  }
  const texts =
    args.texts === 0 ? [] : corpusItems(loadIntentData(args.data, { seed: args.seed, count: args.texts }).train);
  if (texts.length > 0)
    rows.push(await measure("texts, use-lite", { modality: "text" }, texts.slice(0, args.texts), 4));
} finally {
  client.close();
  await server.stop();
}
report.table(`inserts in batches of ${args.batch}, ${args.dimensions} dimensions, durability ${args.durability}`, rows);
report.save(args.json);

async function measure(
  content: string,
  settings: Parameters<AttuneClient["createCollection"]>[1],
  items: ItemToSend[],
  clients: number,
): Promise<Row> {
  const { collection } = await client.createCollection(`bench-${rows.length}`, settings);
  const started = performance.now();
  await insertWith(clients, collection, items);
  const acknowledgedMs = performance.now() - started;
  await waitForIndex(collection);
  const indexedMs = performance.now() - started;
  await collection.delete();
  return {
    content,
    items: items.length,
    clients,
    "acknowledged/s": (items.length * 1000) / acknowledgedMs,
    "searchable in graph/s": (items.length * 1000) / indexedMs,
    "s to zero lag after the last": (indexedMs - acknowledgedMs) / 1000,
  };
}

async function insertWith(clients: number, collection: CollectionClient, items: ItemToSend[]): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const start = next;
      next += args.batch;
      await collection.upsert(items.slice(start, start + args.batch));
    }
  };
  await Promise.all(Array.from({ length: clients }, worker));
}
