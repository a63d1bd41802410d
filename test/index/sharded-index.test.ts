import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { type HnswIndexOptions, openExactIndex, openHnswIndex } from "../../src/index/index.js";
import { ShardedIndex } from "../../src/index/sharded-index.js";
import { Random } from "../../src/vector/index.js";
import { killThread } from "../support/kill-thread.js";
import { seedOf } from "../support/seed.js";
import { Clusters, closedAfter, code, flat, RowModel, temporaryDirectory, uint32 } from "./support.js";

const parameters = { m: 8, efConstruction: 100, efSearch: 64 };

function filled(count: number, dimensions: number, seed: number) {
  const model = new RowModel(dimensions, "cosine");
  const clusters = new Clusters(new Random(seedOf("rows", seed)), dimensions);
  for (let label = 0; label < count; label++) model.write(label, clusters.row());
  return { model, clusters };
}

async function open(model: RowModel, shards: number, options: Partial<HnswIndexOptions> = {}) {
  const { source: rows, metric } = model;
  const settings = { rows, metric, parameters: { ...parameters, shards }, live: model.liveRows(), ...options };
  return closedAfter(await openHnswIndex(settings));
}

/** One shard for even labels and one for odd ones, both of this thread and exact. */
async function exactPair(model: RowModel, onCompacted?: (labels: Uint32Array) => void) {
  const { source: rows, metric } = model;
  const shards = [0, 1].map((parity) => {
    const labels = Uint32Array.from(model.live.keys()).filter((label) => label % 2 === parity);
    return openExactIndex({ rows, metric, live: { labels, sequences: new Float64Array(labels.length) } });
  });
  return new ShardedIndex(await Promise.all(shards), { rows, metric, onCompacted });
}

/** Mean recall of ten neighbours, with every answer checked. */
async function recallOf(index: Awaited<ReturnType<typeof open>>, model: RowModel, queries: Float32Array[]) {
  const hits = await index.search(flat(queries), queries.length, { k: 10 });
  return hits.reduce((sum, found, i) => sum + model.check(found, queries[i]!, 10), 0) / queries.length;
}

describe("index of several shards", () => {
  it("finds what one index finds, adds up what its shards say, and bounds the lag as one does", async () => {
    const { model, clusters } = filled(1200, 16, 1);
    const index = await open(model, 4, { maxPending: 40 });
    const seen: { done: number; total: number }[] = [];
    await index.drain((progress) => seen.push(progress));
    assert.ok(seen.every(({ done, total }) => done >= 0 && done <= total && total <= 1200));
    assert.deepEqual(
      seen.map(({ done }) => done),
      seen.map(({ done }) => done).sort((a, b) => a - b),
    );
    assert.ok((await recallOf(index, model, clusters.rows(40))) >= 0.98);
    const labels = Uint32Array.from({ length: 200 }, (_, i) => 1200 + i);
    for (const label of labels) model.write(label, clusters.row());
    let added = false;
    const adding = index.add(labels).then(() => {
      added = true;
    });
    while (!added) assert.ok((await index.status()).lag <= 40);
    await adding;
    await index.drain();
    const removed = labels.filter((label) => label % 3 === 0);
    for (const label of removed) model.remove(label);
    await index.remove(removed);
    const before = await index.status();
    assert.deepEqual([before.points, before.tombstones, before.lag], [1400 - removed.length, removed.length, 0]);
    const { milliseconds, ...rebuilt } = await index.rebuild();
    assert.deepEqual(rebuilt, { points: before.points, reclaimed: removed.length });
    assert.ok(milliseconds > 0);
    index.setEfSearch(200);
    assert.ok((await recallOf(index, model, clusters.rows(40))) >= 0.99);
  });

  it("is found again from its snapshots, and those of another number of shards are not used", async () => {
    const { model, clusters } = filled(400, 8, 2);
    const directory = join(temporaryDirectory(), "index");
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const reopened = async (shards: number) => {
      lines.length = 0;
      const index = await open(model, shards, { snapshotDirectory: directory, identity: "things/0", log });
      const { lag } = await index.status();
      assert.ok((await recallOf(index, model, clusters.rows(20))) >= 0.98);
      await index.drain();
      assert.equal((await index.status()).points, 400);
      await index.snapshot(model.sequence);
      await index.close();
      return { found: lag === 0, lines: [...lines] };
    };
    assert.deepEqual((await reopened(2)).lines, []);
    assert.deepEqual(readdirSync(directory).sort(), ["shard-0", "shard-1"]);
    assert.deepEqual(await reopened(2), { found: true, lines: [] });
    const refused = (await reopened(3)).lines;
    assert.equal(refused.length, 2);
    for (const line of refused) {
      assert.match(line, /is not used, the index is rebuilt: its identity is "things\/0\/\d of 2", expected "things/);
    }
    // One alone looks for its own beside the folders of shards.
    assert.deepEqual((await reopened(1)).lines, []);
  });

  it("may have fewer items than shards", async () => {
    const { model, clusters } = filled(2, 8, 9);
    const directory = temporaryDirectory();
    for (const saved of [false, true]) {
      const lines: string[] = [];
      const index = await open(model, 3, { snapshotDirectory: directory, log: (line) => lines.push(line) });
      if (saved) assert.equal((await index.status()).lag, 0);
      const query = clusters.row();
      assert.equal(model.check((await index.search(query, 1, { k: 5 }))[0]!, query, 5), 1);
      await index.drain();
      await index.rebuild();
      await index.snapshot(model.sequence);
      await index.close();
      assert.deepEqual(
        lines.filter((line) => !line.startsWith("index rebuilt")),
        [],
      );
    }
  });

  it("keeps its graphs under other vectors, shard by shard, and only those of as many shards", async () => {
    const { model: before, clusters } = filled(500, 12, 3);
    const after = new RowModel(12, "cosine");
    for (const [label, { row }] of before.live)
      after.write(
        label,
        Float32Array.from(row, (x, d) => x * (1 + 0.02 * d)),
      );
    const source = temporaryDirectory();
    const old = await open(before, 2, { snapshotDirectory: source, identity: "0" });
    await old.drain();
    await old.snapshot(before.sequence);
    const carry = { snapshotDirectory: source, identity: "0", rows: before.source };
    const lines: string[] = [];
    const kept = async (shards: number) => {
      lines.length = 0;
      const directory = temporaryDirectory();
      return open(after, shards, {
        snapshotDirectory: directory,
        identity: "1",
        carry,
        log: (line) => lines.push(line),
      });
    };
    const index = await kept(2);
    const { points, lag, provisional } = await index.status();
    assert.deepEqual({ points, lag, provisional, lines }, { points: 500, lag: 0, provisional: true, lines: [] });
    assert.ok((await recallOf(index, after, clusters.rows(30))) >= 0.95);
    for (const shards of [1, 3]) {
      const anew = await kept(shards);
      assert.equal((await anew.status()).provisional, false);
      assert.equal(lines.length, shards);
      for (const line of lines) assert.match(line, /is not kept, a new one is built: /);
      await anew.close();
    }
  });

  it("has died when one of its threads has, whatever is asked of it", async () => {
    // So many that none is built when its thread dies.
    const { model, clusters } = filled(9000, 16, 4);
    const threads: Worker[] = [];
    const remember = (worker: Worker) => threads.push(worker);
    process.on("worker", remember);
    const index = await open(model, 3);
    process.off("worker", remember);
    assert.equal(threads.length, 3);
    const draining = assert.rejects(index.drain(), code("internal"));
    await Promise.all([killThread(threads[1]!), draining]);
    await assert.rejects(index.status(), code("internal"));
    await assert.rejects(index.search(clusters.row(), 1, { k: 3 }), code("internal"));
    // Labels of the living shards too.
    for (const label of [0, 1, 2]) {
      await assert.rejects(index.add(uint32(label)), code("internal"));
      await assert.rejects(index.remove(uint32(label)), code("internal"));
    }
    await index.close();
  });

  it("leaves no thread behind when one of its shards cannot be opened", async () => {
    const { model } = filled(10, 8, 5);
    const threads = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
    const before = threads();
    // The row of label 11 is not there, and that is of the second shard's business alone.
    const live = { labels: uint32(0, 2, 11), sequences: Float64Array.of(1, 1, 1) };
    await assert.rejects(open(model, 2, { live }), code("internal"));
    for (let waited = 0; threads() > before && waited < 2000; waited += 10) await sleep(10);
    assert.ok(threads() <= before);
  });

  it("never misses an item that is replaced by one of another shard while it is looked for", async () => {
    // Few even labels and many odd ones: a search has long been through with the first shard when it is in the second.
    const model = new RowModel(32, "cosine");
    const clusters = new Clusters(new Random(seedOf("replaced", 6)), 32);
    for (let i = 0; i < 20_000; i++) model.write(2 * i + 1, clusters.row());
    const index = await exactPair(model);
    const sought = model.live.get(39_999)!.row;
    const searching = index.search(sought, 1, { k: 1, exact: true });
    model.write(0, sought);
    await index.add(uint32(0));
    await index.remove(uint32(39_999));
    const [during] = await searching;
    assert.ok(during!.distances[0]! < 1e-6, `the nearest is at ${during!.distances[0]}`);
    const [afterwards] = await index.search(sought, 1, { k: 1 });
    assert.equal(afterwards!.labels[0], 0);
    await index.close();
  });

  it("keeps the order of writes to one label while a removal waits for a search", async () => {
    const { model, clusters } = filled(4000, 32, 7);
    const index = await exactPair(model);
    const searching = index.search(clusters.row(), 1, { k: 3 });
    model.remove(5);
    const order = [index.remove(uint32(4, 5)), index.add(uint32(4)), index.remove(uint32(6)), index.add(uint32(6))];
    await Promise.all([searching, ...order]);
    const query = clusters.row();
    assert.equal(model.check((await index.search(query, 1, { k: 4000 }))[0]!, query, 4000), 1);
    await index.close();
  });

  it("says that a label is free when the last search that may answer it has ended", async () => {
    const { model } = filled(6000, 32, 8);
    const events: string[] = [];
    const index = await exactPair(model, (labels) => events.push(`free ${labels.join(" ")}`));
    const query = new Float32Array(32).fill(1);
    const searching = index.search(query, 1, { k: 5 }).then(() => events.push("answered"));
    await index.remove(uint32(7, 8));
    await searching;
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    assert.deepEqual(events, ["answered", "free 7 8"]);
    await index.remove(uint32(9));
    await index.close();
    await new Promise(setImmediate);
    assert.deepEqual(events, ["answered", "free 7 8"], "a closed index says nothing");
  });
});
