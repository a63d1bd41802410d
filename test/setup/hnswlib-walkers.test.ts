import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { findTunedBuild, hasNativeFunctions, loadHnswlib, type NativeGraph } from "../../src/native/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const { hnswlib } = loadHnswlib(findTunedBuild());
const native = hasNativeFunctions(hnswlib) ? hnswlib : undefined;
const DIMENSIONS = 37;
const random = new Random(seedOf("walkers", 3));
const nodes = new Uint32Array(300);
const distances = new Float32Array(300);

const randomVector = () => Float32Array.from({ length: DIMENSIONS }, () => random.normal());

function graphOf(space: "l2" | "ip", vectors: Float32Array[]): NativeGraph {
  const graph = new hnswlib.HierarchicalNSW(space, DIMENSIONS) as NativeGraph;
  graph.initIndex({ maxElements: 300 });
  for (const [label, vector] of vectors.entries()) graph.addPoint(vector, label);
  return graph;
}

describe("walkers", { skip: native === undefined ? "there are none here" : false }, () => {
  type Answer = { id: number; nodes: number[] | undefined; distances: number[] };
  const ROOM = 4;
  const walkersOf = (threads: number, tell: () => void) => {
    const walkers = new native!.Walkers(threads, tell);
    const ids = new Float64Array(3);
    const counts = new Int32Array(3);
    const found = { nodes: new Uint32Array(3 * ROOM), distances: new Float32Array(3 * ROOM) };
    const take = (): Answer[] =>
      Array.from({ length: walkers.take(ids, counts, found.nodes, found.distances) }, (_, i) => {
        const count = counts[i]!;
        const part = [i * ROOM, i * ROOM + Math.max(count, 0)] as const;
        const nodes = count < 0 ? undefined : [...found.nodes.subarray(...part)];
        return { id: ids[i]!, nodes, distances: [...found.distances.subarray(...part)] };
      });
    return { walkers, take };
  };
  type Found = Omit<Answer, "id">;
  const takeAll = async (take: () => Answer[], expected: Map<number, Found>) => {
    while (expected.size > 0) {
      for (const { id, ...found } of take()) {
        assert.deepEqual(found, expected.get(id), `search ${id} was answered twice, never asked, or wrong`);
        expected.delete(id);
      }
      await turn();
    }
  };
  const expectedOf = (graph: NativeGraph, query: Float32Array, k: number, breadth: number) => {
    const found = graph.searchNodes(query, k, breadth, undefined, undefined, undefined, nodes, distances);
    return { nodes: [...nodes.subarray(0, found)], distances: [...distances.subarray(0, found)] };
  };

  it("find what one thread finds, in whatever order, and tell of it until it is taken", async () => {
    const graph = graphOf("ip", Array.from({ length: 300 }, randomVector));
    const expected = new Map<number, Found>();
    let told = 0;
    const { walkers, take } = walkersOf(3, () => told++);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) {
        const query = randomVector();
        // Beyond 32 bits.
        const id = 2 ** 40 + round * 50 + i;
        expected.set(id, expectedOf(graph, query, ROOM, 20));
        // Costly enough for every thread to be woken, or so cheap that one does it.
        const cost = round % 2 === 0 ? 1e6 : 0;
        assert.ok(walkers.ask(id, graph.share(), query, ROOM, 20, cost, undefined, undefined, undefined));
        // It is copied.
        query.fill(Number.NaN);
      }
      await takeAll(take, expected);
    }
    assert.ok(told > 0, "nobody was told of answers");
    const query = randomVector();
    walkers.ask(1, graph.share(), query, ROOM, 20, 1, undefined, undefined, undefined);
    walkers.wait(60_000_000);
    assert.deepEqual(take(), [{ id: 1, ...expectedOf(graph, query, ROOM, 20) }]);
  });

  it("find the living alone, and as many as there is room for", () => {
    const graph = graphOf("l2", Array.from({ length: 300 }, randomVector));
    const labelOf = Uint32Array.from({ length: 300 }, (_, node) => 299 - node);
    const nodeOf = Uint32Array.from({ length: 300 }, (_, label) => (label % 3 === 0 ? 299 - label : 2 ** 32 - 1));
    const query = randomVector();
    const { walkers, take } = walkersOf(1, () => {});
    walkers.ask(7, graph.share(), query, 2 * ROOM, 50, 1, labelOf, nodeOf, undefined);
    walkers.wait(60_000_000);
    const found = graph.searchNodes(query, ROOM, 50, labelOf, nodeOf, undefined, nodes, distances);
    const expected = { nodes: [...nodes.subarray(0, found)], distances: [...distances.subarray(0, found)] };
    assert.equal(found, ROOM);
    assert.ok(expected.nodes.every((node) => labelOf[node]! % 3 === 0));
    assert.deepEqual(take(), [{ id: 7, ...expected }]);
  });

  it("compare with what is allowed, together or not, whatever its size", async () => {
    const graph = graphOf("ip", Array.from({ length: 300 }, randomVector));
    const identity = Uint32Array.from({ length: 300 }, (_, i) => i);
    const words = (test: (label: number) => boolean) => {
      const allow = new Uint32Array(12);
      for (let label = 0; label < 384; label++) if (test(label)) allow[label >>> 5]! |= 1 << (label & 31);
      return allow;
    };
    // The last allows labels that there are not.
    const allowed = [words(() => false), words((i) => i === 299), words((i) => i % 5 === 0), words((i) => i >= 290)];
    let told = 0;
    const { walkers, take } = walkersOf(3, () => told++);
    const expected = new Map<number, Found>();
    for (let id = 0; id < 500; id++) {
      const query = randomVector();
      const allow = allowed[(id >> 2) % 5];
      const k = id % (ROOM + 1);
      const maps = allow === undefined ? [undefined, undefined, undefined] : ([identity, identity, allow] as const);
      const found = graph.searchNodes(query, k, 300, maps[0], maps[1], maps[2], nodes, distances);
      expected.set(id, { nodes: [...nodes.subarray(0, found)], distances: [...distances.subarray(0, found)] });
      assert.ok(walkers.ask(id, graph.share(), query, k, 300, 500, maps[0], maps[1], maps[2]));
    }
    await takeAll(take, expected);
    assert.ok(told > 0, "nobody was told of answers");
  });

  it("tell of nothing while somebody watches, nor twice before it is taken", async () => {
    const graph = graphOf("l2", Array.from({ length: 4 }, randomVector));
    let told = 0;
    const { walkers, take } = walkersOf(1, () => told++);
    const ask = (id: number) =>
      walkers.ask(id, graph.share(), randomVector(), 1, 1, 1, undefined, undefined, undefined);
    walkers.watch(true);
    ask(1);
    walkers.wait(60_000_000);
    await turn();
    assert.deepEqual([told, take().length], [0, 1]);
    walkers.watch(false);
    for (const id of [2, 3, 4]) ask(id);
    const until = performance.now() + 30_000;
    while (told === 0 && performance.now() < until) await turn();
    await sleep(100);
    assert.equal(told, 1);
    const ids: number[] = [];
    while (ids.length < 3) {
      walkers.wait(60_000_000);
      ids.push(...take().map(({ id }) => id));
    }
    assert.deepEqual(ids, [2, 3, 4]);
  });

  it("wait until there is an answer, or the time is up", () => {
    const { walkers, take } = walkersOf(1, () => {});
    const time = (microseconds: number) => {
      const started = performance.now();
      walkers.wait(microseconds);
      return performance.now() - started;
    };
    assert.ok(time(2000) >= 2, "it did not wait");
    const graph = graphOf("l2", Array.from({ length: 4 }, randomVector));
    walkers.ask(1, graph.share(), randomVector(), 1, 1, 1, undefined, undefined, undefined);
    assert.ok(time(60_000_000) < 30_000, "it did not see the answer");
    assert.ok(time(60_000_000) < 30_000, "it waited for what was there");
    assert.equal(take().length, 1);
    assert.ok(time(2000) >= 2, "it did not wait for the next");
  });

  it("answer nothing of a graph that is no longer shared, and refuse the next search of it", () => {
    const graph = graphOf("l2", Array.from({ length: 200 }, randomVector));
    const { walkers, take } = walkersOf(1, () => {});
    const query = randomVector();
    // The thread may be done with all before the graph changes, on a machine that is busy: then once more.
    let missed = false;
    for (let round = 0; round < 50 && !missed; round++) {
      const number = graph.share();
      const asked = Array.from({ length: 20_000 }, (_, id) =>
        walkers.ask(id, number, query, 1, 1000, 0, undefined, undefined, undefined),
      );
      assert.ok(asked.every(Boolean));
      graph.addPoint(randomVector(), 200 + round);
      assert.equal(walkers.ask(20_000, number, query, 1, 1000, 0, undefined, undefined, undefined), false);
      const answers: Answer[] = [];
      while (answers.length < asked.length) {
        walkers.wait(60_000_000);
        answers.push(...take());
      }
      for (const { nodes } of answers) assert.ok(nodes === undefined || nodes.length === 1);
      missed = answers.some(({ nodes }) => nodes === undefined);
    }
    assert.ok(missed, "every search was over before the graph changed");
  });

  it("refuse what does not fit", () => {
    const graph = graphOf("l2", Array.from({ length: 4 }, randomVector));
    const number = graph.share();
    const query = randomVector();
    const loose = native!.Walkers as unknown as new (
      ...given: unknown[]
    ) => Record<string, (...given: unknown[]) => unknown>;
    for (const wrong of [[], [0, () => {}], [1], [1, 1]])
      assert.throws(() => new loose(...wrong), /TypeError: Expected a number of threads and a function/);
    const walkers = new loose(1, () => {});
    assert.throws(() => walkers.ask!(1, number, query, 1, 1, 1), /TypeError: Expected an id, a graph/);
    assert.throws(
      () => walkers.ask!(1, number, [...query], 1, 1, 1, undefined, undefined, undefined),
      /TypeError: Expected an id/,
    );
    const four = new Uint32Array(4);
    for (const [labelOf, nodeOf, allow] of [
      [four, undefined, undefined],
      [undefined, undefined, four],
      [four, four, [1]],
    ]) {
      assert.throws(() => walkers.ask!(1, number, query, 1, 1, 1, labelOf, nodeOf, allow), /TypeError: Expected an id/);
    }
    const misfit = /TypeError: Expected a query of the graph's dimensions/;
    assert.throws(() => walkers.ask!(1, number, query.subarray(1), 1, 1, 1, undefined, undefined, undefined), misfit);
    assert.throws(() => walkers.ask!(1, number, query, 1, 1, 1, new Uint32Array(3), four, undefined), misfit);
    assert.throws(() => walkers.watch!(), /TypeError: Expected whether somebody looks/);
    assert.throws(() => walkers.wait!("long"), /TypeError: Expected microseconds/);
    const room = /TypeError: Expected room for ids/;
    assert.throws(() => walkers.take!(new Float64Array(0), new Int32Array(1), nodes, distances), room);
    assert.throws(() => walkers.take!(new Float64Array(2), new Int32Array(1), nodes, distances), room);
    assert.throws(() => walkers.take!(new Float64Array(1), new Int32Array(1), nodes, new Float32Array(1)), room);
    assert.equal(walkers.take!(new Float64Array(1), new Int32Array(1), nodes, distances), 0);
  });

  it("end with the thread that made them, whatever is still asked", async () => {
    const { file } = findTunedBuild()!;
    const code = `
      const { Walkers, HierarchicalNSW } = require(${JSON.stringify(file)});
      const graph = new HierarchicalNSW("l2", 3);
      graph.initIndex(1000);
      for (let i = 0; i < 1000; i++) graph.addPoint(Float32Array.of(Math.random(), i, 0), i);
      const walkers = new Walkers(2, () => {});
      for (let i = 0; i < 500; i++) walkers.ask(i, graph.share(), Float32Array.of(1, 2, 3), 10, 900, 1000, undefined, undefined, undefined);
      process.exit();`;
    const thread = new Worker(code, { eval: true });
    assert.deepEqual(await once(thread, "exit"), [0]);
    const { stderr, status } = spawnSync(process.execPath, ["-e", code], { encoding: "utf8", timeout: 60_000 });
    assert.deepEqual([stderr, status], ["", 0]);
  });
});
