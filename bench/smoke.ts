import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "./support/temporary.js";

/** Every benchmark with options that make it end within seconds; the figures mean nothing, only that there are some. */
const TINY: Record<string, string> = {
  ann: "--smoke",
  encode: "--smoke",
  ingest: "--data synthetic --count 500 --dimensions 64 --texts 100 --text-batches 50 --repeats 1",
  http: "--data synthetic --count 300 --clients 1,8 --seconds 0.5 --warm-up 0.2 --repeats 1",
  churn: "--count 500 --dimensions 64 --rounds 2",
  "fine-tune": "--data synthetic --count 400 --sizes 60 --seeds 1",
  engines: "--smoke",
  "step-cost": "--smoke",
  peers: "--smoke --systems attune",
  filter: "--smoke",
  reembed: "--smoke",
  memory: "--smoke",
  startup: "--smoke",
  latency:
    "--data synthetic --count 400 --triplets 60 --seconds 1 --filled 300 --inserted 600 --dimensions 32 --bodies binary",
};

const directory = temporaryDirectory();
const failed: string[] = [];
for (const [name, options] of Object.entries(TINY)) {
  const started = performance.now();
  const problem = await runTiny(name, options.split(" "));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${problem === undefined ? "ok    " : "FAILED"} ${name.padEnd(10)} ${seconds.padStart(6)} s`);
  if (problem === undefined) continue;
  failed.push(name);
  console.log(problem.replace(/^/gm, "    "));
}
if (failed.length > 0) {
  console.log(`failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

/** Returns what went wrong. */
async function runTiny(name: string, options: string[]): Promise<string | undefined> {
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const results = path.join(directory, `${name}.json`);
  const child = spawn(process.execPath, [program, ...options, "--json", results], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) return `exit ${code}\n${output}`;
  const { tables } = JSON.parse(readFileSync(results, "utf8")) as { tables: { rows: unknown[] }[] };
  return tables.length > 0 && tables.every(({ rows }) => rows.length > 0) ? undefined : `no results\n${output}`;
}
