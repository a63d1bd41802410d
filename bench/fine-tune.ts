import path from "node:path";
import { AttuneClient } from "../src/client/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { corpusItems, embedAll, insertAll } from "./support/corpus.js";
import { loadIntentData } from "./support/intent-data.js";
import { drawTriplets, fineTuneWith, measureSearch, type SearchQuality } from "./support/intent-protocol.js";
import { mean } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";
import { startServerProcess } from "./support/server-process.js";
import { copyDirectory, temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "The learning loop over HTTP: n triplets about the corpus, a fine-tune, then a wide search for the test queries. Every run\n" +
    "starts from the same untuned collection.",
  {
    data: { default: "banking77", describe: "banking77 or synthetic" },
    count: { default: 600, describe: "texts of the synthetic data" },
    sizes: { default: [50, 200, 1000, 5000], describe: "numbers of triplets" },
    seeds: { default: [1, 2, 3], describe: "one run each; of drawing and training" },
    losses: {
      default: "triplet",
      describe: "losses to train with, one after the other: triplet,info-nce,..., or auto",
    },
    options: { default: "{}", describe: "more options of every fine-tune, as JSON" },
    permute: { default: false, describe: "shuffle the positives among the anchors: the gate should say no" },
  },
);

const COLLECTION = "intents";

interface Run extends SearchQuality {
  loss: string;
  n: number;
  seed: number;
  outcome: string;
  improvementLow: number | undefined;
  drift: number | undefined;
  trainingS: number;
  jobS: number;
}

const report = new Report("fine-tune", args);
const data = loadIntentData(args.data, { count: args.count });
const directory = temporaryDirectory();
const untuned = path.join(directory, "untuned");
const { queries, frozen } = await prepare();
const runs: Run[] = [];
const losses = args.losses.split(",");
for (const loss of losses)
  for (const n of args.sizes) for (const seed of args.seeds) runs.push(await runOnce(loss, n, seed));
const feedback = args.permute ? "positives permuted" : "true feedback";
report.table(
  `${data.name}, ${data.train.length} items, ${data.test.length} queries, ${feedback}: every run`,
  runs.map(asRow),
);
report.table(`means over ${args.seeds.length} seeds`, [
  asFrozenRow(),
  ...losses.flatMap((loss) => args.sizes.map((n) => meanRow(loss, n))),
]);
report.save(args.json);

/** Inserts the corpus once; the runs start from copies of the data directory. */
async function prepare() {
  const server = await startServerProcess({ data: untuned });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  const { collection } = await client.createCollection(COLLECTION, { modality: "text" });
  const { indexedMs } = await insertAll(collection, corpusItems(data.train));
  report.note(`${data.train.length} texts in and indexed after ${(indexedMs / 1000).toFixed(1)} s`);
  const queries = await embedAll(
    client,
    COLLECTION,
    data.test.map(({ text }) => text),
  );
  const frozen = await measureSearch(collection, data, queries);
  client.close();
  await server.stop();
  return { queries, frozen };
}

async function runOnce(loss: string, n: number, seed: number): Promise<Run> {
  const copy = path.join(directory, "run");
  copyDirectory(untuned, copy);
  const server = await startServerProcess({ data: copy });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  try {
    const collection = client.collection(COLLECTION);
    const triplets = await drawTriplets(collection, data.train, n, new Random(seed), args.permute);
    const { job, wallMs } = await fineTuneWith(collection, triplets, seed, {
      ...JSON.parse(args.options),
      loss,
    });
    const quality = await measureSearch(collection, data, queries);
    report.note(
      `${loss}, n ${n}, seed ${seed}: ${job.status}${job.reason === undefined ? "" : ` (${job.reason})`}, ${JSON.stringify(job.recipe)}, ${JSON.stringify(job.timings)}`,
    );
    return {
      loss,
      n,
      seed,
      outcome: job.status,
      ...quality,
      improvementLow: job.metrics?.improvement.low,
      drift: job.metrics?.drift,
      trainingS: ((job.timings.trainingMs ?? 0) + (job.timings.evaluatingMs ?? 0)) / 1000,
      jobS: wallMs / 1000,
    };
  } finally {
    client.close();
    await server.stop();
  }
}

function asRow(run: Run): Row {
  const { improvementLow, drift, trainingS, jobS, ...rest } = run;
  return { ...rest, "gain, low": improvementLow, drift, "training s": trainingS, "job s": jobS };
}

function asFrozenRow(): Row {
  return { loss: "none", n: "frozen", promoted: "-", ...frozen, "training s": "-", "job s": "-" };
}

function meanRow(loss: string, n: number): Row {
  const of = runs.filter((run) => run.loss === loss && run.n === n);
  const average = (pick: (run: Run) => number) => mean(of.map(pick));
  return {
    loss,
    n: String(n),
    promoted: `${of.filter((run) => run.outcome === "promoted").length} of ${of.length}`,
    "R@1": average((run) => run["R@1"]),
    "P@10": average((run) => run["P@10"]),
    "MRR@10": average((run) => run["MRR@10"]),
    "training s": average((run) => run.trainingS),
    "job s": average((run) => run.jobS),
  };
}
