import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { Bitmap, type HnswIndexOptions, openHnswIndex, type RebuildResult } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { killThread } from "../support/kill-thread.js";
import { seedOf } from "../support/seed.js";
import { Clusters, closedAfter, code, flat, RowModel, uint32 } from "./support.js";

const parameters = { m: 16, efConstruction: 200, efSearch: 64 };

async function open(model: RowModel, options: Partial<HnswIndexOptions> = {}) {
  const { source: rows, metric } = model;
  return closedAfter(await openHnswIndex({ rows, metric, parameters, live: model.liveRows(), ...options }));
}

function filled(count: number, dimensions: number, seed: number, metric: "cosine" | "euclidean" = "cosine") {
  const model = new RowModel(dimensions, metric);
  const clusters = new Clusters(new Random(seedOf("rows", seed)), dimensions);
  for (let label = 0; label < count; label++) model.write(label, clusters.row());
  return { model, clusters };
}

/** Threads of this process that exist because of workers. */
const workerCount = () =>
  process.getActiveResourcesInfo().filter((name) => name === "MessagePort" || name === "Worker").length;

describe("HNSW index", () => {
  it("finds .99 of the true nearest on clustered rows, and its parameters matter", async () => {
    const { model, clusters } = filled(4000, 32, 1);
    const index = await open(model);
    await index.drain();
    const queries = clusters.rows(100);
    const recall = async (efSearch: number) => {
      const hits = await index.search(flat(queries), queries.length, { k: 10, efSearch });
      return hits.reduce((sum, found, i) => sum + model.check(found, queries[i]!, 10), 0) / queries.length;
    };
    assert.ok((await recall(64)) >= 0.99);
    assert.ok((await recall(10)) < (await recall(200)));
    await index.close();
  });

  it("answers while it is being built, rightly from the first moment", async () => {
    const { model, clusters } = filled(3000, 16, 2);
    const index = await open(model, { maxPending: 100 });
    let drained = false;
    const building = index.drain().then(() => {
      drained = true;
    });
    let answered = 0;
    while (!drained && answered < 20) {
      const query = clusters.row();
      const [hits] = await index.search(query, 1, { k: 5 });
      assert.ok(model.check(hits!, query, 5) >= 0.8);
      if (!drained) answered++;
    }
    assert.ok(answered >= 3, `${answered} answers before the graph was complete`);
    await building;
    assert.equal((await index.status()).lag, 0);
    await index.close();
  });

  it("tells the progress of a build, which only grows", async () => {
    const { model } = filled(4000, 64, 3);
    const index = await open(model);
    const seen: number[] = [];
    await index.drain(({ done, total }) => {
      assert.ok(done >= 0 && done <= total);
      seen.push(done);
    });
    assert.ok(seen.length > 0);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    await index.close();
  });

  it("lets adds wait when too many rows wait for the graph", async () => {
    const { model, clusters } = filled(0, 64, 4);
    const index = await open(model, { maxPending: 50 });
    const labels = Array.from({ length: 1000 }, (_, i) => i);
    for (const label of labels) model.write(label, clusters.row());
    let added = false;
    const adding = index.add(Uint32Array.from(labels)).then(() => {
      added = true;
    });
    const { lag } = await index.status();
    assert.ok(lag <= 50 && !added);
    await adding;
    assert.ok((await index.status()).lag <= 50);
    assert.equal((await index.status()).points, 1000);
    await index.close();
  });

  it("lets building wait while others want the processors, and finds everything meanwhile", async () => {
    const { model, clusters } = filled(0, 16, 41);
    const busy = new Int32Array(new SharedArrayBuffer(4));
    busy[0] = 1;
    const index = await open(model, { busy, maxPending: 1000 });
    const lag = async () => (await index.status()).lag;
    const add = async (count: number) => {
      const labels = Uint32Array.from({ length: count }, (_, i) => model.live.size + i);
      for (const label of labels) model.write(label, clusters.row());
      await index.add(labels);
    };
    await add(400);
    await sleep(100);
    assert.equal(await lag(), 400);
    const query = clusters.row();
    const [hits] = await index.search(query, 1, { k: 10 });
    assert.equal(model.check(hits!, query, 10), 1);
    // Who searches is not to compare with more and more.
    for (const end = performance.now() + 60_000; (await lag()) > 0; ) {
      assert.ok(performance.now() < end, "searches do not make it build");
      await index.search(query, 1, { k: 10 });
    }
    await sleep(100);
    await add(900);
    // No more than half of what may wait does, and that waits on.
    for (const end = performance.now() + 60_000; (await lag()) > 500; await sleep(5)) {
      assert.ok(performance.now() < end, "too much waits");
    }
    await sleep(100);
    assert.ok((await lag()) > 0, "all is built");
    await index.drain();
    assert.equal(await lag(), 0);
    await add(100);
    await sleep(50);
    assert.equal(await lag(), 100);
    Atomics.store(busy, 0, 0);
    for (const end = performance.now() + 60_000; (await lag()) > 0; await sleep(5)) {
      assert.ok(performance.now() < end, "it waits for nobody");
    }
    await index.close();
  });

  it("keeps the order of writes to one label while they wait", async () => {
    const { model, clusters } = filled(0, 8, 5);
    const index = await open(model, { maxPending: 4 });
    for (let label = 0; label < 100; label++) model.write(label, clusters.row());
    const all = Uint32Array.from({ length: 100 }, (_, i) => i);
    model.remove(99);
    await Promise.all([index.add(all), index.remove(uint32(99)), index.remove(uint32(98)), index.add(uint32(98))]);
    const query = clusters.row();
    const [hits] = await index.search(query, 1, { k: 200 });
    assert.equal(model.check(hits!, query, 200), 1);
    await index.close();
  });

  it("does not find what was removed on its way into the graph", async () => {
    const { model, clusters } = filled(200, 64, 6);
    // A row takes long, so that some are always on their way.
    const index = await open(model, { parameters: { m: 48, efConstruction: 1000, efSearch: 50 } });
    await index.drain();
    for (let first = 200; first < 1200; first += 100) {
      const labels = Uint32Array.from({ length: 100 }, (_, i) => first + i);
      for (const label of labels) model.write(label, clusters.row());
      await index.add(labels);
      const oldest = [...labels.subarray(0, 40)];
      const asked = oldest.map((label) => {
        const { row } = model.live.get(label)!;
        model.remove(label);
        return { label, removed: index.remove(uint32(label)), found: index.search(row.slice(), 1, { k: 3 }) };
      });
      for (const { label, removed, found } of asked) {
        await removed;
        const [hits] = await found;
        assert.ok(!hits!.labels.includes(label), `${label} was removed before it was asked for`);
      }
      const query = clusters.row();
      assert.ok(model.check((await index.search(query, 1, { k: 10 }))[0]!, query, 10) >= 0.9);
    }
    await index.drain();
    assert.equal((await index.status()).points, model.live.size);
    await index.close();
  });

  it("finds the living inside a cluster of tombstones, and next to nothing else", async () => {
    const model = new RowModel(8, "euclidean");
    const clusters = new Clusters(new Random(6), 8, 10, 0.05);
    for (let label = 0; label < 3000; label++) model.write(label, clusters.row(label % 10));
    const index = await open(model, { rebuildShare: 1 });
    await index.drain();
    const cluster = Array.from({ length: 300 }, (_, i) => i * 10 + 3);
    for (const label of cluster) model.remove(label);
    await index.remove(Uint32Array.from(cluster));
    const query = clusters.row(3);
    assert.ok(model.check((await index.search(query, 1, { k: 10 }))[0]!, query, 10) >= 0.9);
    // New points among tombstones only.
    for (const label of [5000, 5001, 5002]) model.write(label, clusters.row(3));
    await index.add(uint32(5000, 5001, 5002));
    await index.drain();
    const [hits] = await index.search(query, 1, { k: 3 });
    assert.deepEqual([...hits!.labels].sort(), [5000, 5001, 5002]);
    assert.equal((await index.status()).tombstones, 300);
    await index.close();
  });

  it("survives losing every item and getting new ones, many times", async () => {
    const { model, clusters } = filled(0, 8, 7);
    const index = await open(model, { rebuildShare: 1 });
    for (let round = 0; round < 6; round++) {
      const labels = Uint32Array.from({ length: 200 }, (_, i) => i);
      for (const label of labels) model.write(label, clusters.row());
      await index.add(labels);
      await index.drain();
      const query = clusters.row();
      assert.ok(model.check((await index.search(query, 1, { k: 10, efSearch: 30 }))[0]!, query, 10) >= 0.8);
      for (const label of labels) model.remove(label);
      await index.remove(labels);
      assert.equal((await index.search(query, 1, { k: 10 }))[0]!.labels.length, 0);
    }
    await index.close();
  });

  it("rebuilds by itself when tombstones pass the share, serving and taking writes meanwhile", async () => {
    const { model, clusters } = filled(3000, 16, 8);
    const lines: string[] = [];
    const index = await open(model, { log: (line) => lines.push(line) });
    await index.drain();
    const removed = Array.from({ length: 1200 }, (_, i) => i * 2);
    for (const label of removed) model.remove(label);
    await index.remove(Uint32Array.from(removed));
    assert.equal((await index.status()).tombstones, 1200);
    for (let round = 0; (await index.status()).tombstones > 500; round++) {
      const label = 4000 + round;
      model.write(label, clusters.row());
      await index.add(uint32(label));
      model.remove(1 + 2 * round);
      await index.remove(uint32(1 + 2 * round));
      const query = clusters.row();
      assert.ok(model.check((await index.search(query, 1, { k: 10 }))[0]!, query, 10) >= 0.8);
    }
    assert.equal((await index.status()).points, model.live.size);
    assert.match(lines.join("\n"), /index rebuilt: \d+ points, 1\d+ tombstones shed/);
    const queries = clusters.rows(50);
    const hits = await index.search(flat(queries), 50, { k: 10 });
    const recall = hits.reduce((sum, found, i) => sum + model.check(found, queries[i]!, 10), 0) / 50;
    assert.ok(recall >= 0.98);
    await index.close();
  });

  it("rebuilds on demand and says what it did", async () => {
    const { model, clusters } = filled(1000, 8, 9);
    const index = await open(model);
    await index.drain();
    for (const label of [1, 2, 3]) model.write(label, clusters.row());
    await index.add(uint32(1, 2, 3));
    await index.drain();
    assert.equal((await index.status()).tombstones, 3);
    const [one, two]: RebuildResult[] = await Promise.all([index.rebuild(), index.rebuild()]);
    assert.deepEqual({ ...one!, milliseconds: 0 }, { points: 1000, reclaimed: 3, milliseconds: 0 });
    assert.deepEqual(one, two);
    assert.equal((await index.status()).tombstones, 0);
    await index.close();
  });

  it("stays right when searches and writes run at once, and labels come back with other rows", async () => {
    const seed = seedOf("at once", 17);
    const random = new Random(seed);
    const { model, clusters } = filled(1200, 8, 17);
    const index = await open(model, { maxPending: 64, rebuildShare: 0.25 });
    // Labels below 600 never change; the others come and go.
    const steady = new Set(Array.from({ length: 600 }, (_, i) => i));
    const write = async () => {
      for (let round = 0; round < 60; round++) {
        const labels = Uint32Array.from(new Set(Array.from({ length: 30 }, () => 600 + random.integer(600))));
        await index.remove(labels);
        for (const label of labels) model.write(label, clusters.row());
        await index.add(labels);
      }
    };
    let writing = true;
    const search = async () => {
      while (writing) {
        const query = clusters.row();
        const exact = random.integer(3) === 0;
        const [hits] = await index.search(query, 1, { k: 20, exact });
        const labels = [...hits!.labels];
        assert.equal(new Set(labels).size, 20, `seed ${seed}`);
        assert.deepEqual(
          [...hits!.distances],
          [...hits!.distances].sort((a, b) => a - b),
        );
        const found = labels.filter((label) => steady.has(label)).length;
        const bound = hits!.distances[19]!;
        const expected = [...steady].filter(
          (label) => model.distance(query, model.live.get(label)!.row) < bound - 1e-5,
        );
        assert.ok(found >= expected.length - (exact ? 0 : 4), `${found} of ${expected.length}, seed ${seed}`);
      }
    };
    const searching = [search(), search(), search()];
    await write();
    writing = false;
    await Promise.all(searching);
    const query = clusters.row();
    assert.equal(model.check((await index.search(query, 1, { k: 2000 }))[0]!, query, 2000), 1);
    await index.drain();
    assert.ok(model.check((await index.search(query, 1, { k: 20 }))[0]!, query, 20) >= 0.9);
    await index.close();
  });

  it("estimates its memory by what it holds", async () => {
    const { model } = filled(2000, 64, 10);
    const index = await open(model);
    await index.drain();
    const { bytesInMemory } = await index.status();
    assert.ok(bytesInMemory > 2000 * 64 * 4 && bytesInMemory < 2000 * (64 * 4 + 600));
    await index.close();
  });

  it("says when removed labels are free for other rows", async () => {
    const { model } = filled(300, 8, 11);
    const free: number[] = [];
    const index = await open(model, { onCompacted: (labels) => free.push(...labels) });
    const searching = index.search(new Float32Array(8).fill(1), 1, { k: 300 });
    model.remove(5);
    await index.remove(uint32(5));
    await searching;
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    assert.deepEqual(free, [5]);
    await index.close();
  });

  it("changes its default breadth", async () => {
    const { model, clusters } = filled(3000, 32, 12);
    const index = await open(model);
    await index.drain();
    const queries = flat(clusters.rows(40));
    const narrow = await index.search(queries, 40, { k: 10, efSearch: 10 });
    index.setEfSearch(10);
    assert.deepEqual(await index.search(queries, 40, { k: 10 }), narrow);
    await index.close();
  });

  it("takes a copy of queries and filters at the call", async () => {
    const { model, clusters } = filled(300, 8, 13);
    const index = await open(model);
    const query = clusters.row();
    const allow = Bitmap.of([1, 2, 3]);
    const sent = query.slice();
    const searching = index.search(sent, 1, { k: 3, allow });
    sent.fill(Number.NaN);
    allow.clear(2);
    const [hits] = await searching;
    assert.equal(
      model.check(hits!, query, 3, (label) => label >= 1 && label <= 3),
      1,
    );
    await index.close();
  });

  it("refuses impossible parameters and a file that is not there", async () => {
    const { model } = filled(10, 8, 14);
    for (const wrong of [
      { m: 1 },
      { m: 101 },
      { efConstruction: 0 },
      { efSearch: 1.5 },
      { shards: 0 },
      { shards: 17 },
    ]) {
      await assert.rejects(open(model, { parameters: { ...parameters, ...wrong } }), code("invalid_setting"));
    }
    await assert.rejects(open(model, { rows: { path: `${model.path}.no`, dimensions: 8 } }), code("internal"));
    await assert.rejects(
      open(model, { live: { labels: uint32(10), sequences: Float64Array.of(1) } }),
      code("internal"),
      "a live label beyond the file",
    );
    rmSync(`${model.path}.no`, { force: true });
  });

  it("rejects everybody when its thread dies, and says so afterwards", async () => {
    const { model } = filled(2000, 64, 15);
    const threads: Worker[] = [];
    const remember = (worker: Worker) => threads.push(worker);
    process.on("worker", remember);
    const index = await open(model);
    process.off("worker", remember);
    const draining = assert.rejects(index.drain(), code("internal"));
    const searching = assert.rejects(index.search(new Float32Array(64).fill(1), 1, { k: 3 }), code("internal"));
    await Promise.all([killThread(threads[0]!), draining, searching]);
    await assert.rejects(index.status(), code("internal"));
    await assert.rejects(index.add(uint32(1)), code("internal"));
    await index.close();
  });

  it("closes with work in progress and leaves no thread", async () => {
    const before = workerCount();
    const { model } = filled(3000, 64, 16);
    const index = await open(model, { maxPending: 10 });
    const work = [
      index.drain(),
      index.rebuild(),
      index.add(Uint32Array.from(model.live.keys())),
      index.search(new Float32Array(64 * 50).fill(1), 50, { k: 3000, exact: true }),
    ];
    const settled = Promise.allSettled(work);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await index.close();
    for (const result of await settled) {
      if (result.status === "rejected") assert.equal(result.reason.code, "shutting_down");
    }
    assert.equal(workerCount(), before);
  });
});
