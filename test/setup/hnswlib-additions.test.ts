import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  findTunedBuild,
  type GivenVector,
  hasNativeFunctions,
  loadHnswlib,
  type NativeGraph,
} from "../../src/native/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

/** Where threads tell each other the number of a graph, and wait a little. */
const SHARED = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
const temporary = mkdtempSync(path.join(os.tmpdir(), "attune-hnswlib-"));
after(() => rmSync(temporary, { recursive: true }));

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

  const native = hasNativeFunctions(hnswlib) ? hnswlib : undefined;
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

  it("adds rows by several threads, and says which became which node", { skip: none }, async () => {
    const points = Array.from({ length: 200 }, randomVector);
    const graph = nativeGraphOf("l2", []);
    graph.addPoint(points[0]!, 0);
    const rowOf = await addNodes(graph, points.slice(1), 4);
    assert.equal(graph.getCurrentCount(), 200);
    assert.deepEqual(
      [...rowOf].sort((a, b) => a - b),
      Array.from({ length: 199 }, (_, i) => i),
    );
    for (const [i, row] of rowOf.entries()) assert.deepEqual(graph.getPoint(1 + i), [...points[1 + row]!]);
    graph.setEf(200);
    assert.deepEqual(graph.searchKnn(points[1 + rowOf[5]!]!, 1).neighbors, [6]);
  });

  it("adds the same rows to the same graph while it gives way, resting as it goes", { skip: none }, async () => {
    const points = Array.from({ length: 2000 }, randomVector);
    const grow = async (giveWay: boolean) => {
      const graph = new hnswlib.HierarchicalNSW("l2", dimensions) as NativeGraph;
      graph.initIndex({ maxElements: points.length });
      const before = process.resourceUsage().voluntaryContextSwitches;
      const started = performance.now();
      await addNodes(graph, points, 1, giveWay);
      const milliseconds = performance.now() - started;
      const rests = process.resourceUsage().voluntaryContextSwitches - before;
      const file = path.join(temporary, `gives-way-${giveWay}.hnsw`);
      graph.writeIndexSync(file);
      return { hash: sha256(file), rests, milliseconds };
    };
    const [busy, kind] = [await grow(false), await grow(true)];
    assert.equal(kind.hash, busy.hash);
    assert.ok(kind.rests > busy.rests + 20, `${kind.rests} and ${busy.rests} rests in ${kind.milliseconds} ms`);
  });

  it("finds what was there before while rows are added, and the rows once it is told of them", {
    skip: none,
  }, async () => {
    const points = Array.from({ length: 300 }, randomVector);
    const known = 60;
    const graph = nativeGraphOf("l2", points.slice(0, known));
    const isNear = (a: number, b: number) => Math.abs(a - b) < 1e-4;
    const check = (rows: Float32Array[], breadth: number) => {
      for (let i = 0; i < 20; i++) {
        const query = randomVector();
        const found = graph.searchNodes(query, 10, breadth, undefined, undefined, undefined, nodes, distances);
        const expected = rows.map((row) => row.reduce((sum, x, j) => sum + (x - query[j]!) ** 2, 0));
        const nearest = [...expected].sort((a, b) => a - b);
        for (let j = 0; j < found; j++) {
          assert.ok(nodes[j]! < rows.length, `node ${nodes[j]} of ${rows.length}`);
          assert.ok(isNear(distances[j]!, expected[nodes[j]!]!));
        }
        assert.equal(found, 10);
        assert.ok(isNear(distances[0]!, nearest[0]!));
      }
    };
    let told = false;
    const added = addNodes(graph, points.slice(known), 2).finally(() => {
      told = true;
    });
    // A walk, and a comparison with each.
    for (const breadth of [known - 1, 300]) check(points.slice(0, known), breadth);
    assert.throws(() => graph.share(), /to which nothing is being added/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(told);
    const rowOf = await added;
    check([...points.slice(0, known), ...[...rowOf].map((row) => points[known + row]!)], 299);
  });

  it("waits for the rows on their way before it changes or frees a graph", { skip: none }, async () => {
    const points = Array.from({ length: 300 }, randomVector);
    const graph = nativeGraphOf("l2", []);
    const first = addNodes(graph, points.slice(0, 200), 1);
    const second = addNodes(graph, points.slice(200), 2);
    assert.equal(graph.getCurrentCount() >= 200, true);
    graph.resizeIndex(400);
    assert.equal(graph.getCurrentCount(), 300);
    assert.deepEqual([(await first).length, (await second).length], [200, 100]);
    const third = addNodes(graph, points.slice(0, 100), 2);
    graph.initIndex({ maxElements: 10 });
    assert.equal(graph.getCurrentCount(), 0);
    assert.equal((await third).length, 100, "what was added to the graph before is told of");
    assert.equal(graph.searchNodes(randomVector(), 1, 1, undefined, undefined, undefined, nodes, distances), 0);
  });

  it("ends with a thread whose rows are on their way", { skip: none }, async () => {
    const file = findTunedBuild()?.file;
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { HierarchicalNSW } = require(workerData);
      const graph = new HierarchicalNSW("l2", 64);
      graph.initIndex({ maxElements: 100_000 });
      const rows = Float32Array.from({ length: 64 * 100 }, Math.random);
      const add = () => graph.addNodes(rows, 2, false, add);
      add();
      parentPort.postMessage("adds");`;
    // Wherever they are on it: the process goes on.
    for (let wait = 0; wait < 20; wait++) {
      const worker = new Worker(code, { eval: true, workerData: file });
      await once(worker, "message");
      await new Promise((resolve) => setTimeout(resolve, wait));
      assert.equal(await worker.terminate(), 1);
    }
  });

  it("keeps what large blocks hold when they grow, in place or elsewhere", { skip: none }, () => {
    const [width, step] = [512, 2000];
    const row = (i: number) => new Float32Array(width).fill(i);
    // Beside each other they are in each other's way.
    const graphs = [0, 1, 2].map(() => new hnswlib.HierarchicalNSW("l2", width) as NativeGraph);
    for (const graph of graphs) graph.initIndex({ maxElements: 10, m: 4, efConstruction: 10 });
    for (let size = 10; size <= 3 * step; size += step) {
      for (const [i, graph] of graphs.entries()) {
        graph.resizeIndex(size);
        for (let node = graph.getCurrentCount(); node < size; node += 199) {
          graph.addPoint(row(node + i), graph.getCurrentCount());
        }
      }
    }
    for (const [i, graph] of graphs.entries()) {
      const nodes = Array.from({ length: graph.getCurrentCount() }, (_, node) => graph.getPoint(node));
      for (const numbers of nodes) assert.ok(numbers.every((x) => x === numbers[0]));
      assert.deepEqual(nodes[0], [...row(i)]);
      graph.initIndex({ maxElements: 1 });
    }
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

  it("compares rows four at a time to the bit as hnswlib does one by one", { skip: none }, () => {
    for (const width of [16, 48, 512]) {
      const numbers = (count: number) => Float32Array.from({ length: count * width }, () => random.normal());
      for (const rows of [1, 4, 7, 12]) {
        const [query, block] = [numbers(2), numbers(rows)];
        for (const [space, Space] of [
          ["l2", hnswlib.L2Space],
          ["ip", hnswlib.InnerProductSpace],
        ] as const) {
          native?.compareRows(space, width, query, block, distances);
          const one = new Space(width);
          const at = (flat: Float32Array, i: number) => [...flat.subarray(i * width, (i + 1) * width)];
          for (let i = 0; i < 2 * rows; i++) {
            const expected = one.distance(at(query, Math.floor(i / rows)), at(block, i % rows));
            assert.equal(distances[i], expected, `${space}, ${width} numbers, row ${i % rows} of ${rows}`);
          }
        }
      }
    }
  });

  it("puts rows into nodes, whose links stay, and refuses nodes that are not there", { skip: none }, () => {
    const points = Array.from({ length: 50 }, randomVector);
    const graph = nativeGraphOf("l2", points);
    graph.setEf(50);
    const rows = Float32Array.from([points[3]!, points[2]!].flatMap((point) => [...point]));
    graph.setNodes(2, rows);
    assert.deepEqual(graph.getPoint(2), [...points[3]!]);
    assert.deepEqual(graph.getPoint(3), [...points[2]!]);
    assert.deepEqual(graph.getPoint(4), [...points[4]!]);
    assert.deepEqual(graph.searchKnn(points[2]!, 1), { neighbors: [3], distances: [0] });
    const refusal = /TypeError: Expected a node and rows for it and those after it that the graph has/;
    assert.throws(() => graph.setNodes(49, rows), refusal);
    assert.throws(() => graph.setNodes(50, rows), refusal);
    assert.throws(() => (graph.setNodes as (...given: unknown[]) => void)(0, [1]), refusal);
  });

  it("lets another thread search a graph while its owner changes it and frees it", { skip: none }, async () => {
    const thread = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const { HierarchicalNSW } = require(workerData.addon);
       const { dimensions } = workerData;
       const graph = new HierarchicalNSW("l2", dimensions);
       for (let round = 0; round < 30; round++) {
         graph.initIndex({ maxElements: 20 });
         for (let node = 0; node < 40; node++) {
           if (node === 20) graph.resizeIndex(40);
           graph.addPoint(new Float32Array(dimensions).fill(node), node);
           if (node % 4 === 3) {
             Atomics.store(workerData.number, 0, graph.share());
             Atomics.wait(workerData.number, 1, 0, 0.5);
           }
         }
       }`,
      { eval: true, workerData: { addon: findTunedBuild()?.file, dimensions, number: new Int32Array(SHARED) } },
    );
    const number = new Int32Array(SHARED);
    const origin = new Float32Array(dimensions);
    const ended = once(thread, "exit");
    let isRunning = true;
    void ended.then(() => {
      isRunning = false;
    });
    let answers = 0;
    while (isRunning) {
      for (let i = 0; i < 200; i++) {
        const found = native?.searchShared(number[0]!, origin, 2, 8, undefined, undefined, undefined, nodes, distances);
        if (found === -1) continue;
        assert.deepEqual([found, nodes[0], nodes[1], distances[1]], [2, 0, 1, dimensions]);
        answers++;
      }
      await turn();
    }
    assert.deepEqual(await ended, [0]);
    assert.ok(answers > 0, "no search met a graph that was shared");
    const gone = native?.searchShared(number[0]!, origin, 2, 8, undefined, undefined, undefined, nodes, distances);
    assert.equal(gone, -1, "what was shared ends with its thread");
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
    assert.throws(() => native?.useHugePages([] as never), /TypeError: Expected a Float32Array/);
    const room = /TypeError: Expected rows that the graph has room for, threads, whether they give way, and a function/;
    const add = graph.addNodes.bind(graph) as (...given: unknown[]) => void;
    assert.throws(() => add(new Float32Array(297 * dimensions), 2, false, () => {}), room);
    assert.throws(() => add(new Float32Array(2 * dimensions), 2, false, new Uint32Array(2)), room);
    assert.throws(() => add(new Float32Array(2 * dimensions), 2, () => {}), room);
    assert.equal(graph.getCurrentCount(), 4);
    const shared = native?.searchShared as ((...given: unknown[]) => number) | undefined;
    assert.throws(() => shared?.(), /TypeError: Expected the number of a shared graph/);
    assert.throws(
      () => shared?.(graph.share(), query, 301, 1, undefined, undefined, undefined, nodes, distances),
      refusal,
    );
    const unready = new hnswlib.HierarchicalNSW("l2", dimensions) as NativeGraph;
    assert.throws(() => unready.share(), /TypeError: Expected a graph that is there/);
    const asked = [query, 1, 1, undefined, undefined, undefined, nodes, distances] as const;
    assert.throws(() => unready.searchNodes(...asked), /TypeError: Expected a graph that is there/);
    assert.throws(() => (unready.addNodes as (...given: unknown[]) => void)(query, 1, false, () => {}), room);
    assert.throws(() => unready.compareNodes(query, Uint32Array.of(), distances), compared);
  });
});

/** Adds the rows and returns which became which node. */
function addNodes(
  graph: NativeGraph,
  rows: readonly Float32Array[],
  threads: number,
  giveWay = false,
): Promise<Uint32Array> {
  const flat = Float32Array.from(rows.flatMap((row) => [...row]));
  return new Promise((resolve, reject) =>
    graph.addNodes(flat, threads, giveWay, (rowOf, problem) =>
      problem === undefined ? resolve(rowOf) : reject(new Error(problem)),
    ),
  );
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
