import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const BENCHES: Record<string, string> = {
  ann: "recall against queries per second over efSearch, with hnswlib-node bare beside ours",
  encode: "sentences a second of the built-in text encoder",
  ingest: "durable inserts over HTTP: vectors, and texts beside the bare encoder",
  http: "queries over HTTP at 1, 8 and 32 clients",
  "fine-tune": "the learning loop on Banking77: figures before and after",
  learn: "what can be learnt: heads and encoders on Banking77, image encoders on Omniglot",
  engines: "what one training step of a head takes, by engine",
  "step-cost": "what one training step of an encoder takes beside a forward pass",
  latency: "query latency at a fixed rate, idle, during a fine-tune and during bulk inserts",
  peers: "the same queries and inserts in Chroma, pgvector, LanceDB, sqlite-vec and usearch",
  filter: "filtered queries over HTTP beside unfiltered ones",
  reembed: "from the request of a fine-tune to its results, by the number of items",
  memory: "resident memory of the server by what is in it, and during a switch",
  startup: "from the start of the process to the first right answer",
  churn: "disk use while all items are replaced again and again",
  page: "makes docs/benchmarks.md from the results in bench/results",
  smoke: "every benchmark, tiny, on synthetic data",
};

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(BENCHES, name)) {
  const list = Object.entries(BENCHES).map(([bench, about]) => `  ${bench.padEnd(10)} ${about}`);
  const usage = `Usage: npm run bench -- NAME [--help | options]\n\n${list.join("\n")}\n`;
  if (name === undefined || name === "--help") process.stdout.write(usage);
  else process.stderr.write(`no benchmark "${name}"\n\n${usage}`);
  process.exitCode = name === undefined || name === "--help" ? 0 : 2;
} else {
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
  // Ctrl-C reaches the child too; it ends in its own way, and we with it.
  process.on("SIGINT", () => {});
  const [code] = (await once(child, "close")) as [number | null];
  process.exitCode = code ?? 130;
}
