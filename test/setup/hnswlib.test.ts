import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { findTunedBuild, HNSWLIB_VERSION, type Hnswlib, loadHnswlib } from "../../src/native/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { makeCheckout, PROJECT } from "./checkout.js";

interface HnswlibStep {
  hnswlib: {
    staleReason(root: string, env: NodeJS.ProcessEnv): string | undefined;
    run(root: string, progress: (text: string) => void, env: NodeJS.ProcessEnv): Promise<string | undefined>;
  };
}
const load = (file: string) => import(pathToFileURL(path.join(PROJECT, "src/setup", file)).href);
const { hnswlib: step } = (await load("steps/hnswlib.js")) as HnswlibStep;
const { applyPatch } = (await load("patch.js")) as { applyPatch(text: string, diff: string): string };

const STOCK = path.join(PROJECT, "node_modules/hnswlib-node/build/Release/addon.node");
const HEADER_FILE = "src/hnswlib/hnswalg.h";
const [SOURCE, HEADER] = ["src/addon.cc", HEADER_FILE].map((file) =>
  readFileSync(path.join(PROJECT, "node_modules/hnswlib-node", file), "utf8"),
) as [string, string];
const PATCHES = path.join(PROJECT, "src/setup/hnswlib");
const CHECK = path.join(PROJECT, "src/setup/check-hnswlib.js");
const temporary = mkdtempSync(path.join(os.tmpdir(), "attune-hnswlib-"));
after(() => rmSync(temporary, { recursive: true }));

const onLinux = process.platform === "linux" && process.arch === "x64";
const canBuild = onLinux && spawnSync("g++", ["--version"]).status === 0;
const skip = canBuild ? false : "needs Linux on x86-64 and g++";

/** Compiles in a moment: once loaded, it is what npm built. The patch has no hold on it. */
const UNPATCHED = `
#include <dlfcn.h>
#include <node_api.h>
#ifndef __SSE4_2__
#error the level did not reach the compiler
#endif
typedef napi_value (*Init)(napi_env, napi_value);
NAPI_MODULE_INIT() {
  void* stock = dlopen(${JSON.stringify(STOCK)}, RTLD_NOW);
  return reinterpret_cast<Init>(dlsym(stock, "napi_register_module_v1"))(env, exports);
}`;
/** The same with hnswlib-node's own text, for the patch alone to see. */
const GOOD = `${UNPATCHED}\n#if 0\n${SOURCE}\n#endif`;
const EMPTY = "#include <node_api.h>\nNAPI_MODULE_INIT() { return exports; }";
/** The compiler's trap is an instruction that no CPU has. */
const ILLEGAL = "#include <node_api.h>\nNAPI_MODULE_INIT() { __builtin_trap(); }";

/** A checkout with nothing but a package hnswlib-node of this source, and this header, which it does not include. */
function makePackage(source: string, header = HEADER) {
  const root = mkdtempSync(path.join(temporary, "root-"));
  const folder = path.join(root, "node_modules/hnswlib-node");
  const gyp = { targets: [{ target_name: "addon", sources: ["src/addon.cc"] }] };
  const manifest = { name: "hnswlib-node", version: HNSWLIB_VERSION, scripts: { rebuild: "node-gyp rebuild" } };
  mkdirSync(path.join(folder, "src/hnswlib"), { recursive: true });
  writeFileSync(path.join(folder, HEADER_FILE), header);
  writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
  writeFileSync(path.join(folder, "binding.gyp"), JSON.stringify(gyp));
  writeFileSync(path.join(folder, "src/addon.cc"), source);
  const tuned = path.join(root, "node_modules/.attune-hnswlib");
  const marker = path.join(tuned, "build.json");
  return {
    root,
    folder,
    tuned,
    readMarker: () =>
      JSON.parse(readFileSync(marker, "utf8")) as {
        key: { cpu: string; additions: string };
        file?: string;
        needs: string;
      },
    writeMarker: (value: unknown) => writeFileSync(marker, JSON.stringify(value)),
    staleReason: (env: NodeJS.ProcessEnv = {}) => step.staleReason(root, { ...process.env, ...env }),
    run: (env: NodeJS.ProcessEnv = {}) => step.run(root, () => {}, { ...process.env, ...env }),
  };
}
const V2 = { ATTUNE_MARCH: "x86-64-v2" };
const NATIVE = { ATTUNE_MARCH: "native" };
const NO_COMPILER = { ATTUNE_MARCH: "native", PATH: temporary };

describe("hnswlib-node for this CPU", { skip, concurrency: true }, () => {
  it("is built once for a level, and again when something that it depends on changed", async () => {
    const good = makePackage(GOOD);
    assert.equal(good.staleReason(V2), "not built yet");
    assert.equal(await good.run(V2), undefined);
    assert.equal(good.staleReason(V2), undefined);
    assert.equal(good.staleReason(NATIVE), "ATTUNE_MARCH changed");
    // Nothing but the build and its marker stays, and the package is as npm left it.
    assert.deepEqual(readdirSync(good.tuned).sort(), [good.readMarker().file, "build.json"]);
    assert.deepEqual(readdirSync(good.folder).sort(), ["binding.gyp", "package.json", "src"]);
    assert.deepEqual(findTunedBuild(good.tuned), {
      file: path.join(good.tuned, good.readMarker().file as string),
      march: "x86-64-v2",
    });
    writeFileSync(path.join(good.folder, "src/addon.cc"), `${GOOD}\n`);
    assert.equal(good.staleReason(V2), "hnswlib-node, Node or the set-up changed");
    writeFileSync(path.join(good.folder, "src/addon.cc"), GOOD);
    writeFileSync(path.join(good.tuned, good.readMarker().file as string), "half of it");
    assert.equal(good.staleReason(V2), "missing or damaged");
  });

  for (const [file, source, header] of [
    ["addon.cc", UNPATCHED, HEADER],
    ["hnswlib/hnswalg.h", GOOD, "#pragma once"],
  ] as const) {
    it(`is built without the patches, and says so once, when one does not fit ${file}`, async () => {
      const other = makePackage(source, header);
      const warning = (await other.run(V2)) ?? "";
      assert.match(warning, /built without our additions.*\(the old lines of change 1 of \d+ were found 0 times\)/);
      assert.ok(warning.includes(`does not fit its src/${file}`), warning);
      assert.equal(findTunedBuild(other.tuned)?.march, "x86-64-v2");
      assert.equal(other.staleReason(V2), undefined);
    });
  }

  it("is built again on another CPU, by another patch, and after a build that was interrupted", async () => {
    const good = makePackage(GOOD);
    mkdirSync(path.join(good.tuned, "next/src"), { recursive: true });
    writeFileSync(path.join(good.tuned, "next/src/addon.cc"), "half of");
    assert.equal(good.staleReason(NATIVE), "not built yet");
    assert.equal(await good.run(NATIVE), undefined);
    assert.equal(good.staleReason(NATIVE), undefined);
    const marker = good.readMarker();
    good.writeMarker({ ...marker, key: { ...marker.key, cpu: `${marker.key.cpu} avx1024` } });
    assert.equal(good.staleReason(NATIVE), "another CPU");
    good.writeMarker({ ...marker, key: { ...marker.key, additions: undefined } });
    assert.equal(good.staleReason(NATIVE), "hnswlib-node, Node or the set-up changed");
  });

  it("goes when ATTUNE_MARCH is off", async () => {
    const none = makePackage(EMPTY);
    const off = { ATTUNE_MARCH: "off" };
    assert.equal(none.staleReason(off), undefined);
    mkdirSync(none.tuned);
    assert.equal(none.staleReason(off), "no longer wanted");
    await none.run(off);
    assert.ok(!existsSync(none.tuned));
  });

  const failures = [
    { what: "cannot be compiled", source: "#error not today", says: /building it ended with 1:[\s\S]*not today/ },
    { what: "has not what it should have", source: EMPTY, says: /did not pass its check:[\s\S]*HierarchicalNSW/ },
    { what: "has instructions that the CPU lacks", source: ILLEGAL, says: /SIGILL ended the check/ },
  ];
  for (const { what, source, says } of failures) {
    it(`stays as npm built it, with a warning, when the new build ${what}`, async () => {
      const broken = makePackage(source);
      const warning = (await broken.run(NATIVE)) ?? "";
      assert.match(warning, /^hnswlib-node is used as npm built it/);
      assert.match(warning, says);
      assert.deepEqual(readdirSync(broken.tuned), ["build.json"]);
      assert.equal(findTunedBuild(broken.tuned), undefined);
      assert.equal(broken.staleReason(NATIVE), undefined, "it is not tried again and again");
    });
  }

  it("stays as npm built it without a compiler, until there is one", async () => {
    const good = makePackage(GOOD);
    assert.match(
      (await good.run(NO_COMPILER)) ?? "",
      /no C\+\+ compiler \(g\+\+\) was found[\s\S]*apt-get install g\+\+/,
    );
    assert.equal(good.staleReason(NO_COMPILER), undefined);
    assert.equal(good.staleReason(NATIVE), "the compiler changed");
  });
});

describe("the patches", () => {
  const diffOf = (name: string) => readFileSync(path.join(PATCHES, name), "utf8");
  const hasPatch = spawnSync("patch", ["--version"]).status === 0;

  for (const [name, file, source] of [
    ["addon.patch", "src/addon.cc", SOURCE],
    ["hnswalg.patch", HEADER_FILE, HEADER],
  ] as const) {
    it(`are applied as \`patch\` applies them: ${name}`, { skip: hasPatch ? false : "needs patch" }, () => {
      const folder = mkdtempSync(path.join(temporary, "patched-"));
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), source);
      const { status, stdout } = spawnSync("patch", ["-p1", "--fuzz=0", "-i", path.join(PATCHES, name)], {
        cwd: folder,
      });
      assert.equal(status, 0, String(stdout));
      assert.equal(applyPatch(source, diffOf(name)), readFileSync(path.join(folder, file), "utf8"));
    });
  }

  it("are refused when one of the old lines is another, is not there, or is there twice", () => {
    const diff = diffOf("addon.patch");
    const refusal = (text: string) => {
      try {
        return applyPatch(text, diff);
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(refusal(""), "the old lines of change 1 of 12 were found 0 times");
    assert.equal(refusal(SOURCE + SOURCE), "the old lines of change 1 of 12 were found 2 times");
    const changed = SOURCE.replace("  HierarchicalNSW::Init(", "  HierarchicalNSW::Initialise(");
    assert.equal(refusal(changed), "the old lines of change 12 of 12 were found 0 times");
    assert.equal(refusal(applyPatch(SOURCE, diff)), "the old lines of change 1 of 12 were found 0 times");
  });
});

describe("the whole set-up", () => {
  it("ends well without a compiler, and warns of it once, even when quiet", {
    skip: onLinux ? false : "nothing is compiled here",
  }, async () => {
    const checkout = makeCheckout();
    try {
      const first = await checkout.setUpWith(NO_COMPILER, "--for", "build", "--quiet");
      assert.equal(first.code, 0, first.stderr);
      assert.match(first.stderr, /^set-up: hnswlib-node is used as npm built it, which is slower: no C\+\+ compiler/);
      const second = await checkout.setUpWith(NO_COMPILER, "--for", "build");
      assert.deepEqual([second.code, second.stderr], [0, ""]);
    } finally {
      checkout.remove();
    }
  });

  it("refuses an ATTUNE_MARCH that it does not know, and says what it knows", async () => {
    const checkout = makeCheckout();
    try {
      const refused = await checkout.setUpWith({ ATTUNE_MARCH: "pentium" }, "--for", "build");
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /ATTUNE_MARCH is "pentium", expected native, x86-64-v2, x86-64-v3, x86-64-v4 or off/,
      );
    } finally {
      checkout.remove();
    }
  });
});

describe("the check of a build", () => {
  const check = (file: string) => spawnSync(process.execPath, [CHECK, file], { encoding: "utf8" });
  const stockWith = (name: string, change: string, takesFloat32Array = false) => {
    const file = path.join(temporary, `${name}.cjs`);
    writeFileSync(
      file,
      `const { HierarchicalNSW } = require(${JSON.stringify(STOCK)});
      exports.HierarchicalNSW = class extends HierarchicalNSW { ${change} };
      exports.takesFloat32Array = ${takesFloat32Array};`,
    );
    return file;
  };

  it("accepts what npm built", () => {
    const { status, stderr } = check(STOCK);
    assert.equal(status, 0, stderr);
  });

  it("rejects distances that are wrong in the fourth place, and neighbours that are not the nearest", () => {
    const shifted = "const f = super.searchKnn(q, k); return { ...f, distances: f.distances.map((d) => d + 2e-4) };";
    const far =
      "const f = super.searchKnn(q, k + 1); return { neighbors: f.neighbors.slice(1), distances: f.distances.slice(1) };";
    for (const [name, body] of Object.entries({ shifted, far })) {
      const { status, stderr } = check(stockWith(name, `searchKnn(q, k) { ${body} }`));
      assert.equal(status, 1);
      assert.match(stderr, /found .*, expected/);
    }
  });

  it("rejects Float32Arrays that lead to other answers than plain arrays", () => {
    const add = "addPoint(p, label) { super.addPoint(Array.from(p), label); }";
    const searches = {
      same: "Array.from(q)",
      other: "Array.from(q, (x, i) => (q.BYTES_PER_ELEMENT && i === 0 ? -x : x))",
    };
    const [same, other] = Object.entries(searches).map(([name, query]) =>
      check(stockWith(name, `${add} searchKnn(q, k) { return super.searchKnn(${query}, k); }`, true)),
    );
    assert.equal(same?.status, 0, same?.stderr);
    assert.equal(other?.status, 1);
    assert.match(other?.stderr ?? "", /another way found .*, expected/);
  });

  const tuned = findTunedBuild();
  it("rejects additions that find or compare something else", { skip: tuned ? false : "there are none here" }, () => {
    const changes = {
      search:
        "exports.HierarchicalNSW = class extends all.HierarchicalNSW { searchNodes(...a) { return super.searchNodes(...a) - 1; } };",
      nodes:
        "exports.HierarchicalNSW = class extends all.HierarchicalNSW { compareNodes(q, n, d) { super.compareNodes(q, n, d); d[3] += 2e-4; } };",
      rows: "exports.compareRows = (...a) => { all.compareRows(...a); a[4][3] += 2e-4; };",
      same: "",
    };
    const results = Object.entries(changes).map(([name, change]) => {
      const file = path.join(temporary, `${name}.cjs`);
      writeFileSync(
        file,
        `const all = require(${JSON.stringify(tuned?.file)}); Object.assign(exports, all); ${change}`,
      );
      return check(file);
    });
    assert.deepEqual(
      results.map(({ status }) => status),
      [1, 1, 1, 0],
    );
    assert.match(results[0]?.stderr ?? "", /another way found .*, expected/);
    for (const { stderr } of results.slice(1, 3)) assert.match(stderr, /compared rows are not .* apart/);
  });

  it("rejects a file that is no addon", () => {
    const file = path.join(temporary, "text.node");
    writeFileSync(file, "not machine code");
    assert.equal(check(file).status, 1);
  });
});

describe("the build that the index loads", () => {
  const folder = mkdtempSync(path.join(temporary, "tuned-"));
  const write = (name: string, text: string) => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const cpu = write("cpuinfo", "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: sse avx avx2 fma\nbugs\t\t:\n");
  const find = (build: unknown) => {
    write("build.json", JSON.stringify(build));
    return findTunedBuild(folder, cpu);
  };
  const build = { key: { march: "native", version: HNSWLIB_VERSION }, file: "addon.node", needs: "avx2 sse" };

  it("is the set-up's where the CPU has all that it needs", () => {
    assert.deepEqual(find(build), { file: path.join(folder, "addon.node"), march: "native" });
  });

  it("is npm's on a CPU that lacks something, for another version, after a fallback, and where nothing is known", () => {
    assert.equal(find({ ...build, needs: "avx2 avx512f" }), undefined);
    assert.equal(find({ ...build, key: { march: "native", version: "0.0.1" } }), undefined);
    assert.equal(find({ key: build.key, problem: "no C++ compiler" }), undefined);
    assert.equal(find([]), undefined);
    find(build);
    assert.equal(findTunedBuild(folder, path.join(folder, "no-such-file")), undefined);
    assert.equal(findTunedBuild(path.join(folder, "no-such-folder"), cpu), undefined);
  });
});

describe("a build that does not load", () => {
  it("is passed over with a warning", async () => {
    const file = path.join(temporary, "torn.node");
    writeFileSync(file, "half of it");
    const warned = once(process, "warning") as Promise<[Error]>;
    const { hnswlib, march } = loadHnswlib({ file, march: "native" });
    assert.equal(march, undefined);
    assert.equal(typeof hnswlib.HierarchicalNSW, "function");
    assert.match((await warned)[0].message, /used as npm built it; the build for native does not load/);
  });
});

describe("graphs saved by one build", () => {
  const tuned = findTunedBuild();
  it("are found whole by the other", { skip: tuned === undefined ? "there is no other here" : false }, () => {
    const require = createRequire(import.meta.url);
    const builds = [STOCK, tuned?.file ?? ""].map((file) => require(file) as Hnswlib);
    const [count, dimensions, k] = [500, 100, 10];
    const random = new Random(seedOf("graphs saved by one build", 7));
    const vectors = (n: number) =>
      Array.from({ length: n }, () => Array.from({ length: dimensions }, () => Math.fround(random.normal())));
    const points = vectors(count);
    for (const [writer, reader] of [builds, [...builds].reverse()] as [Hnswlib, Hnswlib][]) {
      const file = path.join(temporary, "graph.hnsw");
      const graph = new writer.HierarchicalNSW("l2", dimensions);
      graph.initIndex({ maxElements: count });
      for (const [label, point] of points.entries()) graph.addPoint(point, label);
      graph.writeIndexSync(file);
      const loaded = new reader.HierarchicalNSW("l2", dimensions);
      loaded.readIndexSync(file);
      assert.deepEqual(loaded.getPoint(7), points[7]);
      loaded.setEf(count);
      for (const query of vectors(20)) {
        const distances = points.map((point) => point.reduce((sum, x, i) => sum + (x - (query[i] as number)) ** 2, 0));
        const nearest = [...distances.keys()].sort((a, b) => distances[a]! - distances[b]!).slice(0, k);
        assert.deepEqual(loaded.searchKnn(query, k).neighbors, nearest);
      }
      // Saved again it is the same file: a build changes no bit of what it read.
      const again = `${file}.again`;
      loaded.writeIndexSync(again);
      assert.equal(sha256(again), sha256(file));
    }
  });
});

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
