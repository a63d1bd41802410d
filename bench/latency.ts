import path from "node:path";
import { AttuneClient } from "../src/client/index.js";
import { measureFineTune } from "./latency/during-fine-tune.js";
import { measureIngest } from "./latency/during-ingest.js";
import { readArgs } from "./support/args.js";
import type { VectorBody } from "./support/collection-queries.js";
import { loadIntentData } from "./support/intent-data.js";
import { Report } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Query latency at a fixed rate: idle and during a fine-tune with writes going on; then whether the new generation holds\n" +
    "the writes made meanwhile, and whether a rollback keeps them. And idle, during bulk inserts of vectors, and until the\n" +
    "graph holds them all.",
  {
    phases: { default: "fine-tune,ingest", describe: "what goes on beside the queries" },
    rate: { default: 100, describe: "queries a second" },
    seconds: { default: 10, describe: "of an idle measurement" },
    data: { default: "banking77", describe: "banking77 or synthetic, for the fine-tune" },
    count: { default: 600, describe: "texts of the synthetic data" },
    queries: { default: "vector", describe: "beside the fine-tune, vector or text; texts go through the encoder" },
    triplets: { default: 1000, describe: "feedback of the fine-tune" },
    "write-every": { default: 200, describe: "milliseconds between writes during the fine-tune; 0 writes nothing" },
    filled: { default: 10_000, describe: "vectors that are there before the inserts" },
    inserted: { default: 20_000, describe: "vectors that are inserted" },
    dimensions: { default: 512, describe: "of these vectors" },
    batch: { default: 500, describe: "vectors of a request" },
    clients: { default: [1, 4], describe: "requests of inserts at the same time" },
    bodies: { default: "json,base64,binary", describe: "of the inserts: json arrays, base64 in JSON, binary" },
    seed: { default: 1, describe: "of the triplets, the training and the vectors" },
  },
);
const phases = args.phases.split(",");
const unknown = phases.find((phase) => phase !== "fine-tune" && phase !== "ingest");
if (unknown !== undefined) throw new Error(`--phases: expected fine-tune, ingest or both, got "${unknown}"`);

const report = new Report("latency", args);
const directory = temporaryDirectory();
const server = await startServerProcess({ data: path.join(directory, "data") });
const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
const asked = { rate: args.rate, seconds: args.seconds, directory };
try {
  if (phases.includes("fine-tune")) {
    const data = loadIntentData(args.data, { count: args.count });
    await measureFineTune(server.url, client, data, asked, args, report);
  }
  if (phases.includes("ingest")) {
    const bodies = args.bodies.split(",") as VectorBody[];
    await measureIngest(server.url, client, asked, { ...args, bodies }, report);
  }
} finally {
  client.close();
  await server.stop();
}
report.save(args.json);
