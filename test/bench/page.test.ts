import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { axisFor } from "../../bench/page/axis.js";
import { renderPage } from "../../bench/page/render-page.js";
import { readResults } from "../../bench/page/results.js";
import { SECTIONS } from "../../bench/page/sections.js";
import type { Row } from "../../bench/support/report.js";
import { temporaryDirectory } from "../../bench/support/temporary.js";
import { projectRoot } from "../support/project-root.js";

const RUN = fileURLToPath(new URL("../../bench/run.js", import.meta.url));

const result = (bench: string, rows: Row[], options = {}) => ({
  bench,
  at: "2026-05-04T03:02:01.000Z",
  machine: { cpu: "Abacus", cores: 2, memoryGiB: 23, platform: "linux", versions: { node: "20.0.0" } },
  options,
  tables: [{ title: `a table of ${bench}`, rows }],
});

/** A project with these results, and its page once made. */
function pageOf(results: Record<string, unknown>) {
  const root = temporaryDirectory();
  mkdirSync(path.join(root, "bench/results"), { recursive: true });
  mkdirSync(path.join(root, "docs"));
  for (const [name, content] of Object.entries(results)) {
    writeFileSync(path.join(root, "bench/results", name), JSON.stringify(content));
  }
  const { status, stderr } = spawnSync(process.execPath, [RUN, "page", "--root", root], { encoding: "utf8" });
  const file = path.join(root, "docs/benchmarks.md");
  return { status, stderr, root, page: existsSync(file) ? readFileSync(file, "utf8") : "" };
}

describe("the page of benchmarks", () => {
  const ann = [
    { system: "bare", efSearch: 10, QPS: 9876.4, "recall@10": 0.81234 },
    { system: "bare", efSearch: 40, QPS: 4000, "recall@10": 0.9 },
    { system: "ours", efSearch: 10, QPS: 12000, "recall@10": 0.8125 },
  ];
  const { page, root, status, stderr } = pageOf({
    "ann.json": result("ann", ann, { data: "synthetic", callers: [1, 8], smoke: false }),
    "learn-1.json": result("learn", [{ setting: "one", "R@1": 0.9123 }], { options: "{}" }),
    "learn-2.json": result("learn", [
      { setting: "two", "R@1": 0.8 },
      { setting: "a|b", "P@10": 0.25 },
    ]),
    "reembed.json": result("reembed", [
      { items: 10_000, "served s": 3.5 },
      { items: 100_000, "served s": 9 },
    ]),
  });

  it("shows every figure of the results, with the command, the machine and the day", () => {
    assert.equal(status, 0, stderr);
    assert.match(
      page,
      /^\*\*a table of ann\*\*\n\n\| system \| efSearch \| QPS \| recall@10 \|\n\| --- \| ---: \| ---: \| ---: \|$/m,
    );
    assert.match(page, /^\| bare \| 10 \| 9,876 \| 0\.8123 \|$/m);
    assert.match(page, /^Measured 2026-05-04 on Abacus, 2 cores, 23 GiB, linux; node 20\.0\.0:$/m);
    assert.match(page, /^npm run bench -- ann --data synthetic --callers 1,8$/m);
    assert.match(page, /^npm run bench -- learn --options '\{\}'$/m);
  });

  it("shows several results of one benchmark, and the fields of all rows", () => {
    assert.match(page, /^\| one \| 0\.9123 \|$/m);
    assert.match(
      page,
      /^\| setting \| R@1 \| P@10 \|\n\| --- \| ---: \| ---: \|\n\| two \| 0\.8000 \| - \|\n\| a\\\|b \| - \| 0\.2500 \|$/m,
    );
  });

  it("says how to get what is missing", () => {
    assert.match(
      page,
      /^No result is kept; `npm run bench -- startup --json bench\/results\/startup\.json` measures it\.$/m,
    );
    assert.equal(page.match(/No result is kept/g)?.length, SECTIONS.length - 3);
  });

  it("draws recall against queries a second, and feedback to live against the number of items", () => {
    const images = path.join(root, "docs/images/benchmarks");
    assert.deepEqual(readdirSync(images).sort(), ["ann.svg", "reembed.svg"]);
    for (const file of ["ann.svg", "reembed.svg"]) assert.ok(page.includes(`](images/benchmarks/${file})`));
    const svg = readFileSync(path.join(images, "ann.svg"), "utf8");
    assert.equal(svg.match(/<polyline/g)?.length, 2);
    assert.equal(svg.match(/<circle/g)?.length, 3);
    assert.doesNotMatch(svg, /NaN|undefined/);
  });

  it("is refused for what is no result, for a smoke run's figures, and for a benchmark without a section", () => {
    assert.match(pageOf({ "x.json": { bench: "ann" } }).stderr, /x\.json is no result of a benchmark/);
    assert.match(
      pageOf({ "s.json": result("ann", ann, { smoke: true }) }).stderr,
      /--smoke, whose figures mean nothing/,
    );
    const { status, stderr } = pageOf({ "n.json": result("new", ann) });
    assert.match(stderr, /"new", which has no section/);
    assert.equal(status, 1);
  });

  it("has a section for every benchmark", () => {
    const { stdout } = spawnSync(process.execPath, [RUN], { encoding: "utf8" });
    const benches = [...stdout.matchAll(/^ {2}([\w-]+) /gm)].map(([, name]) => name);
    assert.deepEqual(
      benches.filter((name) => name !== "page" && name !== "smoke" && SECTIONS.every(({ bench }) => bench !== name)),
      [],
    );
  });

  it("in the project is the one that the kept results make; `npm run bench -- page` makes it", () => {
    const kept = readResults(path.join(projectRoot, "bench/results"));
    assert.equal(
      renderPage(kept, "images/benchmarks").markdown,
      readFileSync(path.join(projectRoot, "docs/benchmarks.md"), "utf8"),
    );
  });
});

describe("the axes of a plot", () => {
  it("have round ticks from below the lowest value to above the highest", () => {
    assert.deepEqual(
      axisFor("linear", [0.81, 0.99], 0, 100).ticks.map((tick) => Number(tick.toFixed(9))),
      [0.8, 0.85, 0.9, 0.95, 1],
    );
    assert.deepEqual(axisFor("log", [30, 1200], 0, 100).ticks, [20, 50, 100, 200, 500, 1000, 2000]);
    assert.deepEqual(axisFor("linear", [7], 0, 100).ticks, [6, 8]);
  });

  it("place values in proportion, or in proportion to their logarithms", () => {
    const { place } = axisFor("linear", [0, 10], 200, 100);
    assert.deepEqual([place(0), place(5), place(10)], [200, 150, 100]);
    assert.equal(axisFor("log", [1, 100], 0, 100).place(10), 50);
    assert.throws(() => axisFor("log", [0, 1], 0, 1), /above 0, got 0/);
  });
});
