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
import {
  findTunedBuild,
  type GivenVector,
  HNSWLIB_VERSION,
  type Hnswlib,
  hasNativeSearch,
  loadHnswlib,
  type NativeGraph,
} from "../../src/index/hnswlib.js";
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
const SOURCE = readFileSync(path.join(PROJECT, "node_modules/hnswlib-node/src/addon.cc"), "utf8");
const PATCH = path.join(PROJECT, "src/setup/hnswlib/addon.patch");
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

/** A checkout with nothing but a package hnswlib-node of this source. */
function makePackage(source: string) {
  const root = mkdtempSync(path.join(temporary, "root-"));
  const folder = path.join(root, "node_modules/hnswlib-node");
  const gyp = { targets: [{ target_name: "addon", sources: ["src/addon.cc"] }] };
  const manifest = { name: "hnswlib-node", version: HNSWLIB_VERSION, scripts: { rebuild: "node-gyp rebuild" } };
  mkdirSync(path.join(folder, "src"), { recursive: true });
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

  it("is built without the patch, and says so once, when the patch does not fit the sources", async () => {
    const other = makePackage(UNPATCHED);
    const warning = (await other.run(V2)) ?? "";
    assert.match(
      warning,
      /built without our additions.*does not fit its src\/addon\.cc \(the old lines of change 1 of 7/,
    );
    assert.equal(findTunedBuild(other.tuned)?.march, "x86-64-v2");
    assert.equal(other.staleReason(V2), undefined);
  });

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

describe("the patch", () => {
  const diff = readFileSync(PATCH, "utf8");
  const hasPatch = spawnSync("patch", ["--version"]).status === 0;

  it("is applied as `patch` applies it", { skip: hasPatch ? false : "needs patch" }, () => {
    const folder = mkdtempSync(path.join(temporary, "patched-"));
    mkdirSync(path.join(folder, "src"));
    writeFileSync(path.join(folder, "src/addon.cc"), SOURCE);
    const { status, stdout } = spawnSync("patch", ["-p1", "--fuzz=0", "-i", PATCH], { cwd: folder });
    assert.equal(status, 0, String(stdout));
    assert.equal(applyPatch(SOURCE, diff), readFileSync(path.join(folder, "src/addon.cc"), "utf8"));
  });

  it("is refused when one of its old lines is another, is not there, or is there twice", () => {
    const refusal = (text: string) => {
      try {
        return applyPatch(text, diff);
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(refusal(""), "the old lines of change 1 of 7 were found 0 times");
    assert.equal(refusal(SOURCE + SOURCE), "the old lines of change 1 of 7 were found 2 times");
    const changed = SOURCE.replace("  HierarchicalNSW::Init(", "  HierarchicalNSW::Initialise(");
    assert.equal(refusal(changed), "the old lines of change 7 of 7 were found 0 times");
    assert.equal(refusal(applyPatch(SOURCE, diff)), "the old lines of change 1 of 7 were found 0 times");
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

describe("a build with the patch", () => {
  const { hnswlib } = loadHnswlib(findTunedBuild());
  const skip = hnswlib.takesFloat32Array ? false : "there is none here";
  const dimensions = 37;
  const random = new Random(seedOf("a build with the patch", 3));
  /** A view that begins inside memory shared between threads. */
  const randomVector = () => {
    const vector = new Float32Array(new SharedArrayBuffer(4 * (dimensions + 1)), 4);
    for (let i = 0; i < dimensions; i++) vector[i] = random.normal();
    return vector;
  };
  const graphOf = (space: "l2" | "ip" | "cosine", vectors: GivenVector[]) => {
    const graph = new hnswlib.HierarchicalNSW(space, dimensions);
    graph.initIndex({ maxElements: 300 });
    for (const [label, vector] of vectors.entries()) graph.addPoint(vector, label);
    return graph;
  };

  it("makes the same graph and gives the same answers by Float32Arrays, in every space", { skip }, () => {
    const points = Array.from({ length: 300 }, randomVector);
    for (const space of ["l2", "ip", "cosine"] as const) {
      const byArrays = graphOf(
        space,
        points.map((point) => Array.from(point)),
      );
      const byFloat32Arrays = graphOf(space, points);
      const files = [byArrays, byFloat32Arrays].map((graph, i) => {
        const file = path.join(temporary, `${space}-${i}.hnsw`);
        graph.writeIndexSync(file);
        return sha256(file);
      });
      assert.equal(files[0], files[1]);
      const odd = (label: number) => label % 2 === 1;
      for (const query of Array.from({ length: 20 }, randomVector)) {
        for (const filter of [undefined, odd]) {
          const expected = byArrays.searchKnn(Array.from(query), 10, filter);
          assert.deepEqual(byFloat32Arrays.searchKnn(query, 10, filter), expected);
        }
      }
    }
  });

  it("refuses another length and other typed arrays as it refuses other arrays", { skip }, () => {
    const graph = graphOf("l2", [randomVector()]);
    const detached = new Float32Array(dimensions);
    structuredClone(detached, { transfer: [detached.buffer] });
    for (const wrong of [new Float32Array(dimensions - 1), new Float32Array(dimensions + 1), detached]) {
      const message = `Invalid the given array length (expected ${dimensions}, but got ${wrong.length}).`;
      for (const vector of [wrong, new Array<number>(wrong.length).fill(0)]) {
        assert.throws(() => graph.addPoint(vector, 1), { message });
        assert.throws(() => graph.searchKnn(vector, 1), { message });
      }
    }
    const bytes = new ArrayBuffer(8 * dimensions);
    for (const other of [new Float64Array(dimensions), new Int32Array(dimensions), new DataView(bytes), bytes]) {
      const vector = other as unknown as Float32Array;
      assert.throws(() => graph.addPoint(vector, 1), /TypeError: .*must be an Array/);
      assert.throws(() => graph.searchKnn(vector, 1), /TypeError: .*must be an Array/);
    }
    assert.equal(graph.getCurrentCount(), 1);
  });

  const native = hasNativeSearch(hnswlib) ? hnswlib : undefined;
  const none = native === undefined ? "there is none here" : false;
  const nativeGraphOf = (space: "l2" | "ip", vectors: GivenVector[]) => graphOf(space, vectors) as NativeGraph;
  const nodes = new Uint32Array(300);
  const distances = new Float32Array(300);

  it("walks to what hnswlib's own search finds, all or the living and allowed alone", { skip: none }, () => {
    const points = Array.from({ length: 300 }, randomVector);
    // Node 2i is a tombstone of label i, node 2i + 1 its living one; odd labels are allowed.
    const labelOf = Uint32Array.from(points, (_, node) => node >> 1);
    const nodeOf = Uint32Array.from({ length: 150 }, (_, label) => 2 * label + 1);
    const allow = new Uint32Array(2).fill(0xaaaaaaaa);
    const isLiving = (node: number) => node % 2 === 1;
    const isAllowed = (node: number) => isLiving(node) && node >> 1 < 64 && (node >> 1) % 2 === 1;
    for (const space of ["l2", "ip"] as const) {
      const graph = nativeGraphOf(space, points);
      for (const [ef, k] of [
        [10, 10],
        [30, 5],
        [300, 300],
      ] as const) {
        graph.setEf(ef);
        for (const query of Array.from({ length: 10 }, randomVector)) {
          const ways: [Uint32Array?, Uint32Array?, Uint32Array?, ((node: number) => boolean)?][] = [
            [],
            [labelOf, nodeOf, undefined, isLiving],
            [labelOf, nodeOf, allow, isAllowed],
          ];
          for (const [labels, nodesOf, allowed, test] of ways) {
            const found = graph.searchNodes(query, k, ef, labels, nodesOf, allowed, nodes, distances);
            const expected = graph.searchKnn(query, k, test);
            assert.deepEqual([...nodes.subarray(0, found)], expected.neighbors);
            assert.deepEqual([...distances.subarray(0, found)], expected.distances);
          }
        }
      }
    }
    const empty = nativeGraphOf("l2", []);
    assert.equal(empty.searchNodes(randomVector(), 1, 10, undefined, undefined, undefined, nodes, distances), 0);
  });

  it("adds rows by several threads, and says which became which node", { skip: none }, () => {
    const points = Array.from({ length: 200 }, randomVector);
    const graph = nativeGraphOf("l2", []);
    graph.addPoint(points[0]!, 0);
    const rowOf = new Uint32Array(199);
    graph.addNodes(Float32Array.from(points.slice(1).flatMap((point) => [...point])), 4, rowOf);
    assert.equal(graph.getCurrentCount(), 200);
    assert.deepEqual(
      [...rowOf].sort((a, b) => a - b),
      Array.from({ length: 199 }, (_, i) => i),
    );
    for (const [i, row] of rowOf.entries()) assert.deepEqual(graph.getPoint(1 + i), [...points[1 + row]!]);
    graph.setEf(200);
    assert.deepEqual(graph.searchKnn(points[1 + rowOf[5]!]!, 1).neighbors, [6]);
  });

  it("compares queries with rows as a loop over their numbers does", { skip: none }, () => {
    const points = Array.from({ length: 9 }, randomVector);
    const queries = Array.from({ length: 3 }, randomVector);
    const flat = (vectors: Float32Array[]) => Float32Array.from(vectors.flatMap((vector) => [...vector]));
    const distanceOf = {
      l2: (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + (x - (b[i] as number)) ** 2, 0),
      ip: (a: Float32Array, b: Float32Array) => 1 - a.reduce((sum, x, i) => sum + x * (b[i] as number), 0),
    };
    for (const space of ["l2", "ip"] as const) {
      const order = [4, 0, 8, 4];
      native?.compareRows(space, dimensions, flat(queries), flat(order.map((i) => points[i]!)), distances);
      const byRows = distances.slice(0, 12);
      nativeGraphOf(space, points).compareNodes(flat(queries), Uint32Array.from(order), distances);
      assert.deepEqual(distances.slice(0, 12), byRows);
      const expected = queries.flatMap((query) => order.map((i) => distanceOf[space](query, points[i]!)));
      for (const [i, value] of expected.entries())
        assert.ok(Math.abs(byRows[i]! - value) < 1e-4 * (1 + Math.abs(value)));
    }
  });

  it("refuses to walk or compare beyond what it was given", { skip: none }, () => {
    const graph = nativeGraphOf("l2", Array.from({ length: 4 }, randomVector));
    const query = randomVector();
    const maps = [new Uint32Array(4), new Uint32Array(4)] as const;
    const search = (...given: unknown[]) => (graph.searchNodes as (...given: unknown[]) => number)(...given);
    const refusal = /TypeError: Expected a query, k, a breadth/;
    for (const wrong of [
      [],
      [query.subarray(1), 1, 1, undefined, undefined, undefined, nodes, distances],
      [query, 301, 1, undefined, undefined, undefined, nodes, distances],
      [query, 1, 1, new Uint32Array(3), maps[1], undefined, nodes, distances],
      [query, 1, 1, maps[0], undefined, undefined, nodes, distances],
      [query, 1, 1, ...maps, new Float32Array(1), nodes, distances],
      [query, 1, 1, ...maps, undefined, distances, nodes],
    ]) {
      assert.throws(() => search(...wrong), refusal);
    }
    const compared = /TypeError: Expected queries, nodes of the graph, and room/;
    assert.throws(() => graph.compareNodes(query, Uint32Array.of(4), distances), compared);
    assert.throws(() => graph.compareNodes(query, Uint32Array.of(1, 2), new Float32Array(1)), compared);
    const rows = /TypeError: Expected a space, dimensions, queries, rows, and room/;
    assert.throws(() => native?.compareRows("l2", 0, query, query, distances), rows);
    assert.throws(() => native?.compareRows("l2", dimensions, query, query, new Float32Array(0)), rows);
    const room = /TypeError: Expected rows that the graph has room for, threads, and room/;
    assert.throws(() => graph.addNodes(new Float32Array(297 * dimensions), 2, nodes), room);
    assert.throws(() => graph.addNodes(new Float32Array(2 * dimensions), 2, new Uint32Array(1)), room);
    assert.equal(graph.getCurrentCount(), 4);
    const unready = new hnswlib.HierarchicalNSW("l2", dimensions) as NativeGraph;
    assert.throws(() => unready.compareNodes(query, Uint32Array.of(), distances), compared);
  });
});

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
