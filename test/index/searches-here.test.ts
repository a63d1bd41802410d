import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { Bitmap } from "../../src/index/bitmap.js";
import { CallsPerTurn } from "../../src/index/calls-per-turn.js";
import { HnswGraph } from "../../src/index/hnsw-graph.js";
import type { SearchHits, SearchOptions, VectorIndex } from "../../src/index/index.js";
import { RestingGraph } from "../../src/index/resting-graph.js";
import { hasNativeFunctions, hnswlib } from "../../src/native/index.js";
import { metricOf } from "../../src/vector/index.js";
import { killThread } from "../support/kill-thread.js";
import { filledIndex } from "./filled-index.js";
import { code, flat, uint32 } from "./support.js";

const skip = hasNativeFunctions(hnswlib) ? false : "npm's build of hnswlib-node cannot share a graph";

/** The hits of one query, if they are there before the event loop turns, as no answer of another thread is. */
async function atOnce(index: VectorIndex, query: Float32Array, options: SearchOptions = { k: 5 }) {
  let hits: SearchHits | undefined;
  const searched = index.search(query, 1, options).then(([found]) => {
    hits = found;
  });
  for (let i = 0; i < 20; i++) await Promise.resolve();
  const early = hits;
  await searched;
  return early;
}

/** Asks alone until the graph is known to be at rest. */
async function untilAtRest(index: VectorIndex, query: Float32Array): Promise<SearchHits> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const hits = await atOnce(index, query);
    if (hits !== undefined) return hits;
    await turn();
  }
  throw new Error("no search was answered at once");
}

describe("a search that comes alone", { skip }, () => {
  it("is answered before the event loop turns, with what the index's own thread finds", async () => {
    const { index, clusters } = await filledIndex(3000, 1);
    await untilAtRest(index, clusters.row());
    for (let i = 0; i < 50; i++) {
      const query = clusters.row();
      const here = await untilAtRest(index, query);
      const [there] = await index.search(flat([query, query]), 2, { k: 5 });
      assert.deepEqual(here, there);
    }
  });

  it("never misses what was added, nor finds what was removed, at any moment after the call", async () => {
    const { index, model, clusters } = await filledIndex(2000, 2);
    await untilAtRest(index, clusters.row());
    let here = 0;
    for (let round = 0; round < 150; round++) {
      const label = 2000 + (round % 7);
      const row = clusters.row();
      model.write(label, row);
      await index.add(uint32(label));
      const waits = round % 3;
      for (let i = 0; i < waits; i++) await turn();
      const found = (await atOnce(index, row, { k: 1 })) ?? (await index.search(row, 1, { k: 1 }))[0];
      assert.deepEqual([...found!.labels], [label]);
      if (round % 2 === 0) await untilAtRest(index, row);
      model.remove(label);
      await index.remove(uint32(label));
      const after = await atOnce(index, row);
      if (after !== undefined) here++;
      assert.ok(!(after ?? (await index.search(row, 1, { k: 5 }))[0])!.labels.includes(label));
    }
    const query = clusters.row();
    assert.ok(model.check(await untilAtRest(index, query), query, 5) >= 0.8);
    assert.ok(here < 150, "the thread is asked while something changes");
  });

  it("is answered while the graph is rebuilt, and from the new one afterwards", async () => {
    const { index, model, clusters } = await filledIndex(2000, 3);
    for (let label = 0; label < 300; label++) model.remove(label);
    await index.remove(Uint32Array.from({ length: 300 }, (_, label) => label));
    await untilAtRest(index, clusters.row());
    let isRebuilt = false;
    const rebuilt = index.rebuild().finally(() => {
      isRebuilt = true;
    });
    let here = 0;
    while (!isRebuilt) {
      const query = clusters.row();
      const early = await atOnce(index, query);
      if (early !== undefined) here++;
      const [hits] = early ? [early] : await index.search(query, 1, { k: 5 });
      assert.ok(model.check(hits!, query, 5) >= 0.8);
      await turn();
    }
    assert.ok(here > 0, "the graph is shared meanwhile");
    assert.deepEqual([(await rebuilt).reclaimed, (await index.status()).tombstones], [300, 0]);
    const query = clusters.row();
    assert.ok(model.check(await untilAtRest(index, query), query, 5) >= 0.8);
  });

  it("goes to other threads when it would be long, or finds nothing", async () => {
    const { index, clusters } = await filledIndex(4000, 4);
    await untilAtRest(index, clusters.row());
    for (const options of [{ efSearch: 950 }, { k: 0 }, { allow: new Bitmap() }]) {
      await turn();
      assert.equal(await atOnce(index, clusters.row(), { k: 5, ...options }), undefined, JSON.stringify(options));
    }
  });

  it("compares with each row where it would meet a quarter of them anyway", async () => {
    const { index, model, clusters } = await filledIndex(3000, 8);
    await untilAtRest(index, clusters.row());
    for (const options of [{ k: 5, efSearch: 800 }, { k: 2990 }]) {
      await turn();
      const query = clusters.row();
      assert.equal(model.check((await atOnce(index, query, options))!, query, options.k), 1);
    }
  });

  it("finds exactly, and what is allowed alone", async () => {
    const { index, model, clusters } = await filledIndex(3000, 12);
    await untilAtRest(index, clusters.row());
    const multiples = Bitmap.of(Array.from({ length: 1000 }, (_, i) => 3 * i));
    const few = Bitmap.of([5, 8, 2999, 3000, 100_000]);
    for (const options of [{ exact: true }, { allow: multiples }, { allow: few }, { allow: few, exact: true }]) {
      await turn();
      const query = clusters.row();
      const hits = await atOnce(index, query, { k: 5, ...options });
      assert.ok(hits !== undefined, "it was asked elsewhere");
      const { allow } = options;
      const recall = model.check(hits, query, 5, (label) => allow?.has(label) ?? true);
      assert.ok(recall >= (allow === multiples ? 0.8 : 1), `recall ${recall}`);
    }
  });

  it("goes to the threads of shards, which are there to work side by side", async () => {
    const { index, clusters } = await filledIndex(3000, 5, 2);
    for (let i = 0; i < 50; i++) assert.equal(await atOnce(index, clusters.row()), undefined);
  });

  it("is refused once the thread has died, or the index is closed", async () => {
    const threads: Worker[] = [];
    const remember = (worker: Worker) => threads.push(worker);
    process.on("worker", remember);
    const { index, clusters } = await filledIndex(2000, 6);
    process.off("worker", remember);
    await untilAtRest(index, clusters.row());
    await killThread(threads[0]!);
    await assert.rejects(index.search(clusters.row(), 1, { k: 5 }), code("internal"));
    const other = await filledIndex(2000, 7);
    await untilAtRest(other.index, clusters.row());
    await other.index.close();
    await assert.rejects(other.index.search(clusters.row(), 1, { k: 5 }), code("shutting_down"));
  });
});

describe("a resting graph", { skip }, () => {
  const space = metricOf("euclidean");
  const graphOf = (rows: Float32Array[]) => {
    const graph = HnswGraph.create(space, 3, { m: 8, efConstruction: 50 }, 10);
    for (const [label, row] of rows.entries()) graph.add(label, row);
    return graph;
  };
  const query = Float32Array.of(0, 0, 0);
  const far = (distance: number) => Float32Array.of(distance, 0, 0);
  const resting = (graph: HnswGraph) => new RestingGraph(graph.share()!, space, 3);
  const found = (graph: RestingGraph, k: number, given = query, allow?: Bitmap) =>
    graph.search(given, graph.plan({ k, efSearch: 10, allow })!);

  it("is searched until the graph grows or is freed", () => {
    const graph = graphOf([far(3), far(1), far(2)]);
    const first = resting(graph);
    assert.deepEqual(found(first, 2), { labels: uint32(1, 2), distances: Float64Array.of(1, 2) });
    graph.add(3, far(0.5));
    assert.equal(found(first, 2), undefined);
    const second = resting(graph);
    assert.deepEqual(found(second, 2), { labels: uint32(3, 1), distances: Float64Array.of(0.5, 1) });
    graph.free();
    assert.equal(found(second, 2), undefined);
  });

  it("leaves to the graph's thread what the walk does not reach, and equal distances in another order than their labels'", () => {
    const graph = graphOf([far(1), far(2), far(3)]);
    const three = resting(graph);
    assert.deepEqual(found(three, 4)?.labels, uint32(0, 1, 2), "there are no more than three");
    graph.remove(2);
    const two = resting(graph);
    const search = two.plan({ k: 2, efSearch: 10 })!;
    graph.remove(1);
    assert.equal(two.search(query, search), undefined);
    const twins = found(resting(graphOf([far(1), far(1), far(1), far(1)])), 4);
    assert.ok(twins === undefined || [...twins.labels].join() === "0,1,2,3");
  });

  it("finds what is allowed alone, and has nothing to find where nothing is", () => {
    const graph = graphOf([far(1), far(2), far(3), far(4)]);
    graph.remove(3);
    const allowing = (...labels: number[]) => Bitmap.of(labels);
    assert.deepEqual(found(resting(graph), 2, query, allowing(1, 2))?.labels, uint32(1, 2));
    assert.deepEqual(found(resting(graph), 3, query, allowing(0, 2, 3, 400))?.labels, uint32(0, 2));
    for (const nothing of [allowing(), allowing(3), allowing(400)])
      assert.equal(resting(graph).plan({ k: 1, efSearch: 10, allow: nothing }), undefined);
    assert.equal(resting(graph).plan({ k: 0, efSearch: 10 }), undefined);
  });

  it("does not change the query", () => {
    const given = Float32Array.of(2, 0, 0);
    const cosine = metricOf("cosine");
    const graph = HnswGraph.create(cosine, 3, { m: 8, efConstruction: 50 }, 10);
    graph.add(0, Float32Array.of(1, 0, 0));
    assert.deepEqual(found(new RestingGraph(graph.share()!, cosine, 3), 1, given)?.labels, uint32(0));
    assert.deepEqual(given, Float32Array.of(2, 0, 0));
  });
});

describe("calls per turn", () => {
  it("are alone when this turn and the last with any had one", async () => {
    const calls = new CallsPerTurn();
    const made: boolean[] = [];
    for (const together of [1, 1, 3, 1, 1]) {
      for (let i = 0; i < together; i++) made.push(calls.isAlone());
      await turn();
    }
    assert.deepEqual(made, [true, true, true, false, false, false, true]);
  });
});
