import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { openEncoder } from "../src/encoder/index.js";
import { openExactIndex, openHnswIndex, type VectorIndex } from "../src/index/index.js";
import { encodeFloat32, normaliseRows } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { loadBanking77 } from "./support/banking77.js";
import { clusteredVectors } from "./support/clustered-vectors.js";
import { mean, percentile } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";
import { temporaryDirectory } from "./support/temporary.js";

const hnswlib = createRequire(import.meta.url)("hnswlib-node") as typeof import("hnswlib-node");

const args = readArgs(
  "Recall against queries per second over efSearch: hnswlib-node bare on its thread, and our index.",
  {
    data: { default: "synthetic", describe: "synthetic, or banking77 through the built-in encoder" },
    count: { default: 10_000, describe: "vectors of the synthetic data" },
    dimensions: { default: 512, describe: "of the synthetic data" },
    queries: { default: 1000, describe: "queries" },
    m: { default: 16, describe: "links of a point" },
    efConstruction: { default: 200, describe: "breadth of the build" },
    efSearch: { default: [10, 20, 40, 80, 160], describe: "breadths of search to measure" },
    k: { default: 10, describe: "neighbours" },
    callers: { default: [1, 8, 32], describe: "searches open at once in our index" },
    repeats: { default: 3, describe: "passes over the queries; the median and the best are shown" },
    seed: { default: 1, describe: "of the synthetic data" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke) {
  Object.assign(args, { count: 1000, dimensions: 16, queries: 50, efSearch: [10, 40], callers: [1, 8], repeats: 1 });
}

interface Data {
  name: string;
  dimensions: number;
  rows: Float32Array;
  queries: Float32Array;
}

const report = new Report("ann", args);
const data = await loadData();
const count = data.rows.length / data.dimensions;
const queryCount = data.queries.length / data.dimensions;
const rowAt = (rows: Float32Array, i: number) => rows.subarray(i * data.dimensions, (i + 1) * data.dimensions);
const rowsFile = path.join(temporaryDirectory(), "rows.f32");
writeFileSync(rowsFile, encodeFloat32(data.rows));
const source = { path: rowsFile, dimensions: data.dimensions };
const live = { labels: Uint32Array.from({ length: count }, (_, i) => i), sequences: new Float64Array(count) };
const truth = await exactLabels();
const rows = [...measureBare(), ...(await measureOurs())];
report.table(`${data.name}, ${count} vectors, cosine, k ${args.k}, ${queryCount} queries`, rows);
report.save(args.json);

async function loadData(): Promise<Data> {
  if (args.data === "synthetic") {
    const { rows, queries } = clusteredVectors(args.seed, args.count, args.queries, args.dimensions);
    return { name: `synthetic (seed ${args.seed})`, dimensions: args.dimensions, rows, queries };
  }
  if (args.data !== "banking77") throw new Error(`unknown data set "${args.data}": expected synthetic or banking77`);
  const { name, train, test } = loadBanking77();
  const encoder = await openEncoder("use-lite");
  try {
    const embed = async (texts: string[]) => {
      const { vectors } = await encoder.encode(texts);
      normaliseRows(vectors, encoder.dimensions);
      return vectors;
    };
    const rows = await embed(train.map(({ text }) => text));
    const queries = await embed(test.slice(0, args.queries).map(({ text }) => text));
    return { name, dimensions: encoder.dimensions, rows, queries };
  } finally {
    await encoder.close();
  }
}

async function exactLabels(): Promise<Set<number>[]> {
  const exact = await openExactIndex({ rows: source, metric: "cosine", live });
  const hits = await exact.search(data.queries, queryCount, { k: args.k });
  await exact.close();
  return hits.map(({ labels }) => new Set(labels));
}

function measureBare(): Row[] {
  const graph = new hnswlib.HierarchicalNSW("ip", data.dimensions);
  graph.initIndex({ maxElements: count, m: args.m, efConstruction: args.efConstruction });
  const started = performance.now();
  for (let i = 0; i < count; i++) graph.addPoint(Array.from(rowAt(data.rows, i)), i);
  const addsPerSecond = (count / (performance.now() - started)) * 1000;
  const queries = Array.from({ length: queryCount }, (_, i) => Array.from(rowAt(data.queries, i)));
  return args.efSearch.map((efSearch) => {
    graph.setEf(efSearch);
    const passes = Array.from({ length: args.repeats }, () => {
      const found: ArrayLike<number>[] = [];
      const times: number[] = [];
      const passStarted = performance.now();
      for (const query of queries) {
        const queryStarted = performance.now();
        found.push(graph.searchKnn(query, args.k).neighbors);
        times.push(performance.now() - queryStarted);
      }
      return { found, times, ms: performance.now() - passStarted };
    });
    return resultRow("hnswlib-node bare", addsPerSecond, efSearch, 1, passes);
  });
}

async function measureOurs(): Promise<Row[]> {
  const parameters = { m: args.m, efConstruction: args.efConstruction, efSearch: 64 };
  const started = performance.now();
  const none = { labels: new Uint32Array(0), sequences: new Float64Array(0) };
  const index = await openHnswIndex({ rows: source, metric: "cosine", parameters, live: none });
  await index.add(live.labels);
  await index.drain();
  const addsPerSecond = (count / (performance.now() - started)) * 1000;
  const measured: Row[] = [];
  for (const callers of args.callers) {
    for (const efSearch of args.efSearch) {
      const passes: Pass[] = [];
      for (let i = 0; i < args.repeats; i++) passes.push(await searchAll(index, efSearch, callers));
      measured.push(resultRow("attune index", addsPerSecond, efSearch, callers, passes));
    }
  }
  await index.close();
  return measured;
}

interface Pass {
  found: ArrayLike<number>[];
  times: number[];
  ms: number;
}

/** Every query once, `callers` at a time. */
async function searchAll(index: VectorIndex, efSearch: number, callers: number): Promise<Pass> {
  const found: ArrayLike<number>[] = [];
  const times: number[] = [];
  let next = 0;
  const started = performance.now();
  const call = async () => {
    for (let i = next++; i < queryCount; i = next++) {
      const queryStarted = performance.now();
      const [hits] = await index.search(rowAt(data.queries, i), 1, { k: args.k, efSearch });
      times.push(performance.now() - queryStarted);
      found[i] = hits?.labels ?? [];
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return { found, times, ms: performance.now() - started };
}

function resultRow(system: string, adds: number, efSearch: number, callers: number, passes: Pass[]): Row {
  const bySpeed = [...passes].sort((a, b) => b.ms - a.ms);
  const qps = bySpeed.map(({ ms }) => (queryCount / ms) * 1000);
  const times = passes.flatMap((pass) => pass.times).sort((a, b) => a - b);
  const found = passes[0]?.found ?? [];
  return {
    dataset: data.name,
    system,
    dimensions: data.dimensions,
    m: args.m,
    efConstruction: args.efConstruction,
    efSearch,
    callers,
    "adds/s": Math.round(adds),
    QPS: Math.round(percentile(qps, 0.5)),
    "best QPS": Math.round(qps.at(-1) ?? Number.NaN),
    "p50 ms": percentile(times, 0.5),
    "p99 ms": percentile(times, 0.99),
    [`recall@${args.k}`]: mean(found.map((labels, i) => share(labels, truth[i] ?? new Set()))),
  };
}

function share(labels: ArrayLike<number>, expected: ReadonlySet<number>): number {
  return Array.from(labels).filter((label) => expected.has(label)).length / Math.max(1, expected.size);
}
