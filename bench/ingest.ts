import path from "node:path";
import { AttuneClient, type ItemToSend } from "../src/client/index.js";
import { insertWith } from "./ingest/insert-with.js";
import { measureTexts } from "./ingest/texts.js";
import { readArgs } from "./support/args.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import { corpusItems } from "./support/corpus.js";
import { loadIntentData } from "./support/intent-data.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Durable inserts over HTTP: items acknowledged a second, and the time until the graph holds them all; texts beside what the\n" +
    "encoder does by itself, in turns.",
  {
    count: { default: 10_003, describe: "vectors; 0 leaves them out" },
    dimensions: { default: 512, describe: "of the vectors" },
    batch: { default: 500, describe: "vectors of a request" },
    clients: { default: [1, 4], describe: "requests at the same time" },
    texts: { default: 10_003, describe: "texts, through the built-in encoder; 0 leaves them out" },
    "text-batches": { default: [100, 500], describe: "texts of a request" },
    repeats: { default: 3, describe: "turns of the encoder and the inserts of texts; medians are shown" },
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
try {
  if (args.count > 0) await measureVectors();
  if (args.texts > 0) {
    const { train } = loadIntentData(args.data, { seed: args.seed, count: args.texts });
    const settings = { batches: args["text-batches"], clients: args.clients, repeats: args.repeats };
    await measureTexts(client, corpusItems(train.slice(0, args.texts)), settings, report);
  }
} finally {
  client.close();
  await server.stop();
}
report.save(args.json);

async function measureVectors(): Promise<void> {
  const vectors = rowsOf(clusteredVectors(args.seed, args.count, 0, args.dimensions).rows, args.dimensions);
  const asArrays = vectors.map((vector, i): ItemToSend => ({ id: `v${i}`, vector: Array.from(vector) }));
  const asBase64 = vectors.map((vector, i): ItemToSend => ({ id: `v${i}`, vector }));
  const rows: Row[] = [];
  for (const clients of args.clients) {
    rows.push(await measure("JSON arrays", asArrays, clients));
    rows.push(await measure("base64", asBase64, clients));
  }
  const title = `inserts of ${args.count} x ${args.dimensions} in batches of ${args.batch}, durability ${args.durability}`;
  report.table(title, rows);
}

async function measure(vectors: string, items: readonly ItemToSend[], clients: number): Promise<Row> {
  const { collection } = await client.createCollection("vectors", { modality: "vector", dimensions: args.dimensions });
  const { acknowledgedMs, indexedMs } = await insertWith(collection, items, args.batch, clients);
  await collection.delete();
  return {
    vectors,
    clients,
    "acknowledged/s": (items.length * 1000) / acknowledgedMs,
    "searchable in graph/s": (items.length * 1000) / indexedMs,
    "s to zero lag after the last": (indexedMs - acknowledgedMs) / 1000,
  };
}
