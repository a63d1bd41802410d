import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bitmap, openExactIndex, openHnswIndex, type VectorIndex } from "../../src/index/index.js";
import { type Metric, Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { Clusters, closedAfter, code, flat, RowModel, temporaryDirectory, uint32 } from "./support.js";

const parameters = { m: 12, efConstruction: 100, efSearch: 40 };

interface Implementation {
  name: string;
  metrics: Metric[];
  /** Of the random writes and searches. */
  steps: number;
  open(model: RowModel, snapshotDirectory?: string): Promise<VectorIndex>;
}

const hnsw = (shards: number, ...metrics: Metric[]): Implementation => ({
  name: shards === 1 ? "hnsw" : `hnsw in ${shards} shards`,
  metrics,
  steps: shards === 1 ? 400 : 150,
  open: (model, snapshotDirectory) =>
    openHnswIndex({
      rows: model.source,
      metric: model.metric,
      parameters: { ...parameters, shards },
      snapshotDirectory,
      live: model.liveRows(),
      // Small, so that adds wait, backlogs stay on disk and rebuilds happen within a short test.
      maxPending: 48,
      rebuildShare: 0.2,
    }),
});

const implementations: Implementation[] = [
  {
    name: "exact",
    metrics: ["cosine", "euclidean"],
    steps: 400,
    open: (model) => openExactIndex({ rows: model.source, metric: model.metric, live: model.liveRows() }),
  },
  hnsw(1, "cosine", "euclidean"),
  hnsw(2, "euclidean"),
  hnsw(3, "cosine"),
];

for (const { name, metrics, steps, open: openOne } of implementations) {
  for (const metric of metrics) {
    describe(`${name} index, ${metric}`, () => {
      const dimensions = 6;
      const open = async (...sources: Parameters<typeof openOne>) => closedAfter(await openOne(...sources));
      const start = () => new RowModel(dimensions, metric);

      it("answers nothing when it is empty", async () => {
        const index = await open(start());
        const [hits] = await index.search(new Float32Array(dimensions).fill(1), 1, { k: 5 });
        assert.equal(hits!.labels.length, 0);
        assert.deepEqual(await index.search(new Float32Array(0), 0, { k: 5 }), []);
        await index.close();
      });

      it("finds an item as soon as add resolves, and not after remove", async () => {
        const model = start();
        const index = await open(model);
        const query = Float32Array.of(1, 2, 3, 4, 5, 6);
        model.write(7, query);
        await index.add(uint32(7));
        const [found] = await index.search(query, 1, { k: 3 });
        assert.deepEqual([...found!.labels], [7]);
        assert.ok(found!.distances[0]! < 1e-6);
        await index.remove(uint32(7, 9, 4_000_000_000));
        const [gone] = await index.search(query, 1, { k: 3 });
        assert.equal(gone!.labels.length, 0);
        assert.equal((await index.status()).points, 0);
        await index.close();
      });

      it("breaks ties by label, wherever equal rows are kept", async () => {
        const model = start();
        const clusters = new Clusters(new Random(4), dimensions);
        const labels = new Random(5).shuffle(Array.from({ length: 600 }, (_, i) => i));
        const twin = clusters.row();
        const twins = new Set(labels.filter((label) => label % 40 === 0));
        const index = await open(model);
        for (let i = 0; i < labels.length; i += 20) {
          const batch = labels.slice(i, i + 20);
          for (const label of batch) model.write(label, twins.has(label) ? twin : clusters.row());
          await index.add(Uint32Array.from(batch));
          const there = [...model.live.keys()].filter((label) => twins.has(label)).sort((a, b) => a - b);
          const [hits] = await index.search(twin, 1, { k: 15 });
          const leading = [...hits!.labels].slice(0, Math.min(15, there.length));
          assert.deepEqual(leading, there.slice(0, leading.length));
        }
        await index.close();
      });

      it("answers queries of one call in their order, each with its own hits", async () => {
        const model = start();
        const clusters = new Clusters(new Random(6), dimensions);
        for (let label = 0; label < 500; label++) model.write(label, clusters.row());
        const index = await open(model);
        await index.drain();
        const queries = clusters.rows(20);
        const together = await index.search(flat(queries), queries.length, { k: 4 });
        for (const [i, query] of queries.entries()) {
          const [alone] = await index.search(query, 1, { k: 4 });
          assert.deepEqual(together[i], alone);
        }
        await index.close();
      });

      it("gives all there are when k is larger, and nothing for k 0", async () => {
        const model = start();
        const clusters = new Clusters(new Random(7), dimensions);
        for (let label = 0; label < 300; label++) model.write(label, clusters.row());
        const index = await open(model);
        const query = clusters.row();
        assert.equal(model.check((await index.search(query, 1, { k: 10_000 }))[0]!, query, 10_000), 1);
        await index.drain();
        assert.equal(model.check((await index.search(query, 1, { k: 10_000 }))[0]!, query, 10_000), 1);
        assert.equal((await index.search(query, 1, { k: 0 }))[0]!.labels.length, 0);
        await index.close();
      });

      it("never gives fewer than k when k labels are allowed", async () => {
        const model = start();
        const random = new Random(seedOf("filters", 8));
        const clusters = new Clusters(random, dimensions);
        for (let label = 0; label < 1500; label++) model.write(label, clusters.row());
        const index = await open(model);
        await index.drain();
        for (const share of [0.005, 0.05, 0.3, 0.9]) {
          const allow = Bitmap.of([...model.live.keys()].filter(() => random.uniform() < share));
          // Labels that are not live do not matter.
          allow.set(123_456);
          const query = clusters.row();
          const [hits] = await index.search(query, 1, { k: 12, allow });
          assert.ok(model.check(hits!, query, 12, (label) => allow.has(label)) >= 0.75);
        }
        const none = await index.search(clusters.row(), 1, { k: 3, allow: new Bitmap() });
        assert.equal(none[0]!.labels.length, 0);
        await index.close();
      });

      it("refuses what it cannot search or add, and goes on", async () => {
        const model = start();
        const index = await open(model);
        model.write(0, Float32Array.of(1, 2, 3, 4, 5, 6));
        await assert.rejects(index.search(new Float32Array(5), 1, { k: 1 }), code("wrong_dimensions"));
        await assert.rejects(index.search(new Float32Array(6), 1, { k: -1 }), code("invalid_setting"));
        await assert.rejects(index.search(new Float32Array(6), 1, { k: 1, efSearch: 0 }), code("invalid_setting"));
        await assert.rejects(index.add(uint32(0, 77)), code("internal"));
        await index.add(uint32(0));
        assert.equal((await index.status()).points, 1);
        await index.close();
        await index.close();
        await assert.rejects(index.add(uint32(0)), code("shutting_down"));
        await assert.rejects(index.search(new Float32Array(6), 1, { k: 1 }), code("shutting_down"));
      });

      it("stays right under random writes, searches, snapshots, rebuilds and reopening", {
        timeout: 60_000,
      }, async () => {
        const seed = seedOf(`${name} ${metric} model`, 9);
        const random = new Random(seed);
        const clusters = new Clusters(random, dimensions);
        const directory = temporaryDirectory();
        const model = new RowModel(dimensions, metric, directory);
        let index = await open(model, directory);
        let quality = 0;
        let searches = 0;
        for (let step = 0; step < steps; step++) {
          const action = random.integer(100);
          if (action < 45) {
            const labels = Uint32Array.from({ length: 1 + random.integer(30) }, () => random.integer(900));
            for (const label of new Set(labels)) model.write(label, clusters.row());
            await index.add(labels);
          } else if (action < 60) {
            const labels = Uint32Array.from({ length: 1 + random.integer(25) }, () => random.integer(900));
            for (const label of new Set(labels)) model.remove(label);
            await index.remove(labels);
          } else if (action < 92) {
            const query = clusters.row();
            const k = 1 + random.integer(15);
            const exact = random.integer(4) === 0;
            const share = random.uniform();
            const allow =
              random.integer(2) === 0
                ? undefined
                : Bitmap.of([...Array(900).keys()].filter(() => random.uniform() < share));
            const [hits] = await index.search(query, 1, { k, exact, allow });
            const recall = model.check(hits!, query, k, (label) => allow?.has(label) ?? true);
            if (exact) assert.equal(recall, 1, `exact search at step ${step}, seed ${seed}`);
            quality += recall;
            searches++;
          } else if (action < 94) await index.drain();
          else if (action < 96) await index.rebuild();
          else if (action < 98) await index.snapshot(model.sequence);
          else {
            await index.close();
            index = await open(model, directory);
          }
          assert.equal((await index.status()).points, model.live.size, `points at step ${step}, seed ${seed}`);
        }
        assert.ok(quality / searches > 0.985, `mean recall ${quality / searches}, seed ${seed}`);
        await index.close();
      });
    });
  }
}
