import { openEncoder } from "../src/encoder/index.js";
import { normaliseRows, TopK } from "../src/vector/index.js";
import { openAttune } from "./peers/attune.js";
import { openChroma } from "./peers/chroma.js";
import { openLancedb } from "./peers/lancedb.js";
import { type Filled, fill, measureQueries, type Plan, withRatio } from "./peers/measure.js";
import { installPackages } from "./peers/packages.js";
import { openPgvector } from "./peers/pgvector.js";
import { openSqliteVec } from "./peers/sqlite-vec.js";
import { NotInstalled, type OpenSystem, type System, type Workload } from "./peers/system.js";
import { openUsearch } from "./peers/usearch.js";
import { readArgs } from "./support/args.js";
import { loadBanking77 } from "./support/banking77.js";
import { clusteredVectors, rowsOf } from "./support/clustered-vectors.js";
import { Report, type Row } from "./support/report.js";
import { temporaryDirectory } from "./support/temporary.js";

const SYSTEMS: Record<string, OpenSystem> = {
  attune: openAttune,
  chroma: openChroma,
  pgvector: openPgvector,
  lancedb: openLancedb,
  "sqlite-vec": openSqliteVec,
  usearch: openUsearch,
};

const args = readArgs(
  "The same vectors and queries in other systems, each with the same graph parameters and at the smallest efSearch that reaches\n" +
    "the recall; systems that are not installed are left out. docs/dependencies.md says where they come from.",
  {
    install: { default: false, describe: "install the npm packages into bench/peers first" },
    debian: { default: undefined, describe: "folder of a newer Debian, whose PostgreSQL and libraries are used" },
    systems: { default: Object.keys(SYSTEMS).join(","), describe: "which" },
    data: { default: "banking77", describe: "banking77 through the built-in encoder, or synthetic" },
    count: { default: 10_000, describe: "vectors of the synthetic data" },
    dimensions: { default: 512, describe: "of the synthetic data" },
    queries: { default: 1000, describe: "different queries" },
    k: { default: 10, describe: "results of a query" },
    recall: { default: 0.99, describe: "recall@k to reach" },
    m: { default: 16, describe: "links of a point" },
    efConstruction: { default: 200, describe: "breadth of the build" },
    batch: { default: 500, describe: "vectors of an insert" },
    clients: { default: [1, 8, 32], describe: "that ask at the same time" },
    "insert-clients": { default: [1, 4], describe: "that insert at the same time" },
    seconds: { default: 5, describe: "of each measurement of queries" },
    "warm-up": { default: 1, describe: "seconds before each" },
    repeats: { default: 3, describe: "rounds over all systems; the median and the best of each are shown" },
    seed: { default: 1, describe: "of the synthetic data" },
    smoke: { default: false, describe: "tiny sizes, to see that it runs" },
  },
);
const tiny = { data: "synthetic", count: 600, dimensions: 32, queries: 50, clients: [2], seconds: 0.2, repeats: 1 };
const settings = args.smoke ? { ...args, ...tiny, "warm-up": 0.1, "insert-clients": [2] } : args;

if (args.install) installPackages();
const report = new Report("peers", settings);
const workload: Workload = {
  ...(await loadVectors()),
  k: settings.k,
  m: settings.m,
  efConstruction: settings.efConstruction,
  batch: settings.batch,
  directory: temporaryDirectory(),
  debian: settings.debian,
};
const plan: Plan = {
  clients: settings.clients,
  insertClients: settings["insert-clients"],
  recall: settings.recall,
  repeats: settings.repeats,
  timing: { warmUpMs: settings["warm-up"] * 1000, durationMs: settings.seconds * 1000 },
};
const truth = workload.queries.map((query) => nearestRows(query, workload));
const versions: Row[] = [];
const filled: Filled[] = [];
for (const name of settings.systems.split(",")) await start(name);
const inserts = filled.flatMap((system) => system.inserts);
let queries: Row[] = [];
try {
  queries = await measureQueries(filled, plan, ({ name }, error) => tellOfFailure(name, error));
} finally {
  for (const { system } of filled) await system.close();
}
const subject = `${workload.rows.length} x ${workload.dimensions}`;
report.table("systems", versions);
report.table(
  `inserts in batches of ${settings.batch}, ${subject}`,
  withRatio(
    withRatio(inserts, "chroma", "acknowledged/s", "acknowledged to chroma"),
    "chroma",
    "inserted and indexed/s",
    "indexed to chroma",
  ),
);
report.table(
  `queries, ${subject}, k ${settings.k}, m ${settings.m}, efConstruction ${settings.efConstruction}`,
  withRatio(withRatio(queries, "chroma", "QPS"), "pgvector", "QPS"),
);
report.save(args.json);

/** Starts a system and fills it. It stays open, idle until its turn. */
async function start(name: string): Promise<void> {
  const open = SYSTEMS[name];
  if (open === undefined) throw new Error(`no system "${name}": expected ${Object.keys(SYSTEMS).join(", ")}`);
  let system: System | undefined;
  try {
    system = await open(workload);
    report.note(`${name} ${system.version}`);
    filled.push(await fill(name, system, workload, truth, plan));
    versions.push({ system: name, version: system.version });
  } catch (error) {
    await system?.close();
    versions.push({ system: name, version: error instanceof NotInstalled ? "not installed" : "failed" });
    tellOfFailure(name, error);
  }
}

/** What the others did is not lost for it. */
function tellOfFailure(name: string, error: unknown): void {
  const isInstalled = !(error instanceof NotInstalled);
  if (isInstalled) process.exitCode = 1;
  report.note(`${name} ${isInstalled ? "failed" : "is left out"}: ${error instanceof Error ? error.message : error}`);
}

/** Rows and queries of length 1. */
async function loadVectors(): Promise<Pick<Workload, "rows" | "queries" | "dimensions">> {
  if (settings.data === "synthetic") {
    const { seed, count, dimensions } = settings;
    const { rows, queries } = clusteredVectors(seed, count, settings.queries, dimensions);
    return { rows: rowsOf(rows, dimensions), queries: rowsOf(queries, dimensions), dimensions };
  }
  if (settings.data !== "banking77")
    throw new Error(`unknown data set "${settings.data}": expected banking77 or synthetic`);
  const { train, test } = loadBanking77();
  const encoder = await openEncoder("use-lite");
  try {
    const embed = async (texts: string[]) => {
      const { vectors } = await encoder.encode(texts);
      normaliseRows(vectors, encoder.dimensions);
      return rowsOf(vectors, encoder.dimensions);
    };
    const rows = await embed(train.map(({ text }) => text));
    const queries = await embed(test.slice(0, settings.queries).map(({ text }) => text));
    return { rows, queries, dimensions: encoder.dimensions };
  } finally {
    await encoder.close();
  }
}

/** The k rows with the largest inner products, by looking at all. */
function nearestRows(query: Float32Array, { rows, k }: Workload): Set<number> {
  const best = new TopK(k);
  for (const [i, row] of rows.entries()) {
    let sum = 0;
    for (let d = 0; d < row.length; d++) sum += (row[d] as number) * (query[d] as number);
    best.push(i, -sum);
  }
  return new Set(best.sorted().labels);
}
