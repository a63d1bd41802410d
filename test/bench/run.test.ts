import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../bench/support/temporary.js";

const RUN = fileURLToPath(new URL("../../bench/run.js", import.meta.url));
const bench = (...args: string[]) => spawnSync(process.execPath, [RUN, ...args], { encoding: "utf8" });

describe("npm run bench", () => {
  it("lists the benchmarks, each with its help", () => {
    const { status, stdout } = bench();
    assert.equal(status, 0);
    for (const name of ["ann", "encode", "ingest", "http", "fine-tune", "latency", "churn"]) {
      assert.match(stdout, new RegExp(`^  ${name} `, "m"));
      const help = bench(name, "--help");
      assert.equal(help.status, 0, name);
      assert.match(help.stdout, /--json/);
    }
  });

  it("ends with 2 for a benchmark or an option that is not there", () => {
    assert.equal(bench("speed").status, 2);
    assert.match(bench("churn", "--fast").stderr, /Unknown option '--fast'/);
    assert.match(bench("churn", "--rounds", "many").stderr, /--rounds: expected a number, got "many"/);
  });

  it("prints a table and writes the same as JSON, with seed, machine and versions", () => {
    const file = `${temporaryDirectory()}/churn.json`;
    const { status, stdout, stderr } = bench(
      "churn",
      ..."--count 300 --dimensions 16 --rounds 1 --json".split(" "),
      file,
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^bench churn: count 300, dimensions 16, rounds 1, seed 1\nmachine: .*cores.*node/);
    const result = JSON.parse(readFileSync(file, "utf8")) as {
      options: Record<string, unknown>;
      machine: { versions: Record<string, string> };
      tables: { rows: Record<string, unknown>[] }[];
    };
    assert.deepEqual(result.options, { count: 300, dimensions: 16, rounds: 1, seed: 1 });
    assert.equal(result.machine.versions.node, process.versions.node);
    assert.deepEqual(
      result.tables[0]?.rows.map((row) => [row.round, row.items]),
      [
        ["0", 300],
        ["1", 300],
        ["restart", 300],
      ],
    );
  });
});
