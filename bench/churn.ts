import path from "node:path";
import { AttuneClient } from "../src/client/index.js";
import { readArgs } from "./support/args.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import { insertAll } from "./support/corpus.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { diskUse, temporaryDirectory } from "./support/temporary.js";

const args = readArgs("Replaces all items again and again, and looks at the disk after each round.", {
  count: { default: 10_003, describe: "items" },
  dimensions: { default: 512, describe: "of the vectors" },
  rounds: { default: 10, describe: "times that all are replaced after the first round" },
  seed: { default: 1, describe: "of the vectors" },
});

const MIB = 2 ** 20;

const report = new Report("churn", args);
const directory = path.join(temporaryDirectory(), "data");
let server = await startServerProcess({ data: directory });
const rows: Row[] = [];
try {
  for (let round = 0; round <= args.rounds; round++) rows.push(await replaceAll(round));
  // The rest is cleared up at the next start at the latest.
  await server.stop();
  server = await startServerProcess({ data: directory });
  rows.push({ ...measureDisk("restart"), ...(await status()) });
} finally {
  await server.stop();
}
const sizes = rows.map((row) => Number(row["disk MiB"]));
const [filled = Number.NaN, replaced = Number.NaN] = sizes;
const largest = Math.max(...sizes);
report.table(`${args.count} x ${args.dimensions} replaced ${args.rounds} times`, rows);
report.table("growth of the disk use", [
  {
    "filled MiB": filled,
    "after the first replacement MiB": replaced,
    "largest MiB": largest,
    "largest / filled": largest / filled,
    "largest / first replacement": largest / replaced,
  },
]);
report.save(args.json);

async function replaceAll(round: number): Promise<Row> {
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  const settings = { modality: "vector", dimensions: args.dimensions } as const;
  const { collection } = await client.createCollection("churn", settings);
  const { rows: flat } = clusteredVectors(args.seed + round, args.count, 0, args.dimensions);
  const items = rowsOf(flat, args.dimensions).map((vector, i) => ({ id: `v${i}`, vector }));
  const { acknowledgedMs, indexedMs } = await insertAll(collection, items);
  client.close();
  report.note(`round ${round}: indexed after ${(indexedMs / 1000).toFixed(1)} s`);
  return {
    ...measureDisk(round),
    ...(await status()),
    "written s": acknowledgedMs / 1000,
    "indexed s": indexedMs / 1000,
  };
}

function measureDisk(round: number | string): Row {
  return { round: String(round), "disk MiB": diskUse(directory) / MIB };
}

async function status(): Promise<Row> {
  const client = new AttuneClient({ baseUrl: server.url });
  const { items, index, bytesOnDisk } = (await client.collection("churn").info()).status;
  client.close();
  return { "bytesOnDisk MiB": bytesOnDisk / MIB, items, points: index.points, tombstones: index.tombstones };
}
