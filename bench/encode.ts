import { setTimeout as sleep } from "node:timers/promises";
import { openEncoder } from "../src/encoder/index.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { loadIntentData } from "./support/intent-data.js";
import { percentile } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";

const args = readArgs("Text encoder: sentences a second, and what a query waits while bulk is encoded.", {
  encoder: { default: "use-lite", describe: "use-lite, file:DIRECTORY or hf:ORGANISATION/REPOSITORY" },
  provider: { default: "cpu", describe: "cpu, auto, cuda, webgpu, coreml or dml" },
  data: { default: "banking77", describe: "test queries of banking77, or synthetic" },
  count: { default: 3_080, describe: "sentences, at most" },
  repeats: { default: 5, describe: "measured rounds of each workload, after one to warm up" },
  queries: { default: 50, describe: "single queries for the latencies" },
  seed: { default: 1, describe: "of the order of the sentences, and of synthetic data" },
  smoke: { default: false, describe: "synthetic, 100 sentences, one round: only shows that it runs" },
});
const settings = args.smoke ? { ...args, data: "synthetic", count: 100, repeats: 1, queries: 5 } : args;

/** How the sentences reach the encoder: texts of a call, and calls at the same time. */
const WORKLOADS = [
  { name: "one call", batch: Number.POSITIVE_INFINITY, concurrent: 1 },
  { name: "calls of 32, 4 at a time", batch: 32, concurrent: 4 },
  { name: "calls of 1, 32 at a time", batch: 1, concurrent: 32 },
];
const PAUSE_BETWEEN_QUERIES_MS = 20;

const report = new Report("encode", settings);
const { data, seed, count } = settings;
const texts = new Random(seed).shuffle(loadIntentData(data, { seed, count: 5 * count }).test.map(({ text }) => text));
const sentences = texts.slice(0, count);
const encoder = await openEncoder(settings.encoder, {
  provider: settings.provider as "cpu",
  log: (line) => report.note(line),
});
try {
  const throughput: Row[] = [];
  for (const workload of WORKLOADS) throughput.push(await measureThroughput(workload));
  report.table(`${encoder.id} on ${encoder.provider}, ${encoder.dimensions} dimensions: sentences/s`, throughput);
  report.table("milliseconds that a query of one sentence takes", [
    await measureLatency("idle"),
    await measureLatency("while bulk is encoded"),
  ]);
} finally {
  await encoder.close();
}
report.save(args.json);

async function measureThroughput({ name, batch, concurrent }: (typeof WORKLOADS)[number]): Promise<Row> {
  const rates: number[] = [];
  for (let round = 0; round <= settings.repeats; round++) {
    const started = performance.now();
    await encodeAll(Math.min(batch, sentences.length), concurrent);
    if (round > 0) rates.push((sentences.length * 1000) / (performance.now() - started));
  }
  rates.sort((a, b) => a - b);
  return {
    workload: name,
    sentences: sentences.length,
    min: percentile(rates, 0),
    median: percentile(rates, 0.5),
    max: percentile(rates, 1),
  };
}

async function encodeAll(batch: number, concurrent: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < sentences.length) {
      const start = next;
      next += batch;
      await encoder.encode(sentences.slice(start, start + batch));
    }
  };
  await Promise.all(Array.from({ length: concurrent }, caller));
}

async function measureLatency(load: "idle" | "while bulk is encoded"): Promise<Row> {
  let done = load === "idle";
  const bulk = (async () => {
    while (!done) await encoder.encode(sentences);
  })();
  const elapsed: number[] = [];
  for (let i = 0; i < settings.queries; i++) {
    await sleep(PAUSE_BETWEEN_QUERIES_MS);
    const started = performance.now();
    await encoder.encode([sentences[i % sentences.length] ?? ""], { priority: "query" });
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
