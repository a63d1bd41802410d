import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { openExactIndex, openHnswIndex } from "../src/index/index.js";
import { findTunedBuild, type Hnswlib, loadHnswlib } from "../src/native/index.js";
import { encodeFloat32 } from "../src/vector/index.js";
import { loadAnnData } from "./ann/data.js";
import {
  type BareGraph,
  bareSystem,
  type FilledIndex,
  indexSystem,
  ourGraph,
  type Pass,
  type System,
  stockGraph,
  takeTurns,
} from "./ann/systems.js";
import { readArgs } from "./support/args.js";
import { mean, percentile } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "Recall against queries per second: hnswlib-node bare on its thread, as npm builds it and as the set-up does, our graph there, and our index.",
  {
    data: {
      default: "synthetic",
      describe: "synthetic (clusters), spectrum (as hard as GloVe), banking77, or a file as GloVe's",
    },
    count: { default: 10_000, describe: "vectors; banking77 has its own" },
    dimensions: { default: 512, describe: "of the synthetic data" },
    queries: { default: 1000, describe: "queries" },
    m: { default: 16, describe: "links of a point" },
    efConstruction: { default: 200, describe: "breadth of the build" },
    efSearch: { default: [10, 20, 40, 80, 160], describe: "breadths of search to measure" },
    recalls: {
      default: [0.89, 0.94, 0.975],
      describe: "recalls to compare at, each at the least efSearch that reaches it",
    },
    k: { default: 10, describe: "neighbours" },
    callers: { default: [1, 8, 32], describe: "searches open at once in our index" },
    shards: { default: [1], describe: "numbers of shards of our index" },
    repeats: { default: 3, describe: "passes over the queries; the median and the best are shown" },
    seed: { default: 1, describe: "of the synthetic data" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
if (args.smoke) {
  const sizes = { count: 1000, dimensions: 16, queries: 50, efSearch: [10, 40], callers: [1, 8], repeats: 1 };
  Object.assign(args, sizes, { shards: [1, 2] });
}
/** Beyond this breadth a recall counts as not reached. */
const MAX_EF = 4096;

const report = new Report("ann", args);
const data = await loadAnnData(args);
const count = data.rows.length / data.dimensions;
const queryCount = data.queries.length / data.dimensions;
const rowsFile = path.join(temporaryDirectory(), "rows.f32");
writeFileSync(rowsFile, encodeFloat32(data.rows));
const source = { path: rowsFile, dimensions: data.dimensions };
const live = { labels: Uint32Array.from({ length: count }, (_, i) => i), sequences: new Float64Array(count) };
const truth = await exactLabels();
const bare = bareSystems();
const filled: FilledIndex[] = [];
for (const shards of args.shards) filled.push(await fillIndex(shards));
const ours = filled.flatMap((index) => args.callers.map((callers) => indexSystem(index, data, callers, args.k)));
const systems = [...bare, ...ours];
const title = `${data.name}, ${count} vectors, cosine, k ${args.k}, ${queryCount} queries`;
report.table(title, await overBreadths());
report.table(`${title}, at equal recall`, await atEqualRecall());
for (const { index } of filled) await index.close();
report.save(args.json);

async function exactLabels(): Promise<Set<number>[]> {
  const exact = await openExactIndex({ rows: source, metric: "cosine", live });
  const hits = await exact.search(data.queries, queryCount, { k: args.k });
  await exact.close();
  return hits.map(({ labels }) => new Set(labels));
}

function bareSystems(): System[] {
  const parameters = { m: args.m, efConstruction: args.efConstruction };
  const stock = createRequire(import.meta.url)("hnswlib-node") as Hnswlib;
  const systems = [fill(stockGraph("hnswlib-node", stock, data, parameters))];
  const { hnswlib, march } = loadHnswlib(findTunedBuild());
  if (march === undefined) {
    report.note("the set-up made no build of hnswlib-node of its own: there is nothing to compare");
  } else {
    systems.push(fill(stockGraph(`hnswlib-node, ${march}`, hnswlib, data, parameters)));
    systems.push(fill(ourGraph(`attune graph, ${march}`, data, parameters)));
  }
  return systems;
}

function fill<Vector>(graph: BareGraph<Vector>): System {
  report.note(`building ${graph.name}`);
  return bareSystem(graph, data, args.k);
}

async function fillIndex(shards: number): Promise<FilledIndex> {
  const name = shards === 1 ? "attune index" : `attune index, ${shards} shards`;
  report.note(`building ${name}`);
  const parameters = { m: args.m, efConstruction: args.efConstruction, efSearch: 64, shards };
  const none = { labels: new Uint32Array(0), sequences: new Float64Array(0) };
  const started = performance.now();
  const index = await openHnswIndex({ rows: source, metric: "cosine", parameters, live: none });
  await index.add(live.labels);
  await index.drain();
  return { name, index, addsPerSecond: (count / (performance.now() - started)) * 1000 };
}

async function overBreadths(): Promise<Row[]> {
  const rows = new Map<System, Row[]>(systems.map((system) => [system, []]));
  for (const efSearch of args.efSearch) {
    for (const [system, passes] of await takeTurns(systems, () => efSearch, args.repeats)) {
      rows.get(system)?.push(resultRow(system, efSearch, passes));
    }
  }
  return [...rows.values()].flat();
}

/** Of each system the least breadth that reaches a recall, and how many times the queries of the first it answers with it. */
async function atEqualRecall(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const wanted of args.recalls) {
    const breadths = new Map<System, number>();
    for (const system of systems) {
      const breadth = await leastBreadth(system, wanted);
      if (breadth !== undefined) breadths.set(system, breadth);
    }
    const passes = await takeTurns([...breadths.keys()], (system) => breadths.get(system) as number, args.repeats);
    const first = passes.get(systems[0] as System);
    for (const [system, own] of passes) {
      const ratios = own.flatMap(({ ms }, i) => (first?.[i] === undefined ? [] : [first[i].ms / ms]));
      rows.push({
        "recall wanted": wanted,
        system: system.name,
        callers: system.callers,
        efSearch: breadths.get(system) as number,
        "recall reached": recallOf(own),
        QPS: Math.round(percentile(speeds(own), 0.5)),
        "best QPS": Math.round(speeds(own).at(-1) ?? Number.NaN),
        [`times ${systems[0]?.name}'s`]:
          ratios.length === 0
            ? undefined
            : percentile(
                ratios.sort((a, b) => a - b),
                0.5,
              ),
      });
    }
  }
  return rows;
}

async function leastBreadth(system: System, recall: number): Promise<number | undefined> {
  const reaches = async (efSearch: number) => recallOf([await system.search(efSearch)]) >= recall;
  let [low, high] = [args.k, args.k];
  while (!(await reaches(high))) {
    low = high + 1;
    high *= 2;
    if (high > MAX_EF) return undefined;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await reaches(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

function resultRow(system: System, efSearch: number, passes: Pass[]): Row {
  const qps = speeds(passes);
  const times = passes.flatMap((pass) => pass.times).sort((a, b) => a - b);
  return {
    dataset: data.name,
    system: system.name,
    dimensions: data.dimensions,
    m: args.m,
    efConstruction: args.efConstruction,
    efSearch,
    callers: system.callers,
    "adds/s": Math.round(system.addsPerSecond),
    QPS: Math.round(percentile(qps, 0.5)),
    "best QPS": Math.round(qps.at(-1) ?? Number.NaN),
    "p50 ms": percentile(times, 0.5),
    "p99 ms": percentile(times, 0.99),
    [`recall@${args.k}`]: recallOf(passes),
  };
}

/** Queries a second of each pass, from the slowest to the fastest. */
function speeds(passes: readonly Pass[]): number[] {
  return passes.map(({ ms }) => (queryCount / ms) * 1000).sort((a, b) => a - b);
}

/** Mean share of the true neighbours that were found, in the first pass: all find the same. */
function recallOf([pass]: readonly Pass[]): number {
  return mean((pass?.found ?? []).map((labels, i) => share(labels, truth[i] ?? new Set())));
}

function share(labels: ArrayLike<number>, expected: ReadonlySet<number>): number {
  return Array.from(labels).filter((label) => expected.has(label)).length / Math.max(1, expected.size);
}
