import { setTimeout as sleep } from "node:timers/promises";
import { type EncoderInput, openEncoder } from "../src/encoder/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { loadIntentData } from "./support/intent-data.js";
import { percentile } from "./support/percentile.js";
import { makePictures, type PictureKind } from "./support/pictures.js";
import { Report, type Row } from "./support/report.js";

const args = readArgs("Encoder: sentences or images a second, and what a query waits while bulk is encoded.", {
  encoder: {
    default: undefined,
    describe: "file:DIRECTORY or hf:ORGANISATION/REPOSITORY (default use-lite, with --images patch-cnn)",
  },
  images: { default: false, describe: "images instead of sentences: drawings of 105 x 105, photos of 1024 x 768" },
  provider: { default: "cpu", describe: "cpu, auto, cuda, webgpu, coreml or dml" },
  data: { default: "banking77", describe: "test queries of banking77, or synthetic" },
  count: { default: 3_080, describe: "sentences or images, at most" },
  repeats: { default: 5, describe: "measured rounds of each workload, after one to warm up" },
  queries: { default: 50, describe: "single queries for the latencies" },
  seed: { default: 1, describe: "of the order of the sentences, of synthetic data and of images" },
  smoke: { default: false, describe: "synthetic, 100 sentences, one round: only shows that it runs" },
});
const settings = args.smoke ? { ...args, data: "synthetic", count: 100, repeats: 1, queries: 5 } : args;

/** How the inputs reach the encoder: inputs of a call, and calls at the same time. */
const WORKLOADS = [
  { name: "one call", batch: Number.POSITIVE_INFINITY, concurrent: 1 },
  { name: "calls of 32, 4 at a time", batch: 32, concurrent: 4 },
  { name: "calls of 1, 32 at a time", batch: 1, concurrent: 32 },
];
const PAUSE_BETWEEN_QUERIES_MS = 20;

const report = new Report("encode", settings);
const encoder = await openEncoder(settings.encoder ?? (settings.images ? "patch-cnn" : "use-lite"), {
  provider: settings.provider as "cpu",
  log: (line) => report.note(line),
});
try {
  const subject = `${encoder.id} on ${encoder.provider}, ${encoder.dimensions} dimensions`;
  for (const kind of settings.images ? (["drawings", "photos"] as const) : (["sentences"] as const)) {
    const inputs = await makeInputs(kind);
    const throughput: Row[] = [];
    for (const workload of WORKLOADS) throughput.push(await measureThroughput(inputs, workload));
    report.table(`${subject}: ${kind}/s`, throughput);
    report.table(`milliseconds that a query of one takes, ${kind}`, [
      await measureLatency(inputs, "idle"),
      await measureLatency(inputs, "while bulk is encoded"),
    ]);
  }
} finally {
  await encoder.close();
}
report.save(args.json);

async function makeInputs(kind: "sentences" | PictureKind): Promise<EncoderInput[]> {
  const { data, seed, count } = settings;
  if (kind !== "sentences") return makePictures(kind, kind === "photos" ? Math.ceil(count / 10) : count, seed);
  const texts = loadIntentData(data, { seed, count: 5 * count }).test.map(({ text }) => text);
  return new Random(seed).shuffle(texts).slice(0, count);
}

async function measureThroughput(
  inputs: readonly EncoderInput[],
  { name, batch, concurrent }: (typeof WORKLOADS)[number],
): Promise<Row> {
  const rates: number[] = [];
  for (let round = 0; round <= settings.repeats; round++) {
    const started = performance.now();
    await encodeAll(inputs, Math.min(batch, inputs.length), concurrent);
    if (round > 0) rates.push((inputs.length * 1000) / (performance.now() - started));
  }
  rates.sort((a, b) => a - b);
  return {
    workload: name,
    inputs: inputs.length,
    min: percentile(rates, 0),
    median: percentile(rates, 0.5),
    max: percentile(rates, 1),
  };
}

async function encodeAll(inputs: readonly EncoderInput[], batch: number, concurrent: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < inputs.length) {
      const start = next;
      next += batch;
      await encoder.encode(inputs.slice(start, start + batch));
    }
  };
  await Promise.all(Array.from({ length: concurrent }, caller));
}

async function measureLatency(inputs: readonly EncoderInput[], load: "idle" | "while bulk is encoded"): Promise<Row> {
  let done = load === "idle";
  const bulk = (async () => {
    while (!done) await encoder.encode(inputs);
  })();
  const elapsed: number[] = [];
  for (let i = 0; i < settings.queries; i++) {
    await sleep(PAUSE_BETWEEN_QUERIES_MS);
    const started = performance.now();
    await encoder.encode(inputs.slice(i % inputs.length).slice(0, 1), { priority: "query" });
    elapsed.push(performance.now() - started);
  }
  done = true;
  await bulk;
  elapsed.sort((a, b) => a - b);
  return {
    load,
    queries: elapsed.length,
    min: percentile(elapsed, 0),
    median: percentile(elapsed, 0.5),
    p99: percentile(elapsed, 0.99),
  };
}
