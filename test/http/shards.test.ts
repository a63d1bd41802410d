import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { CollectionClient, CollectionInfo } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { itemId, learnable, triplets } from "../support/learnable.js";
import { seedOf } from "../support/seed.js";
import { type ServerUnderTest, serve } from "./support.js";

/** Enough items that a fine-tune keeps the graph. */
const COUNT = 2400;

const random = new Random(seedOf("shards over HTTP", 31));
const data = learnable(random, COUNT, { dimensions: 12 });
let server: ServerUnderTest;
before(async () => {
  server = await serve();
});
after(() => server.stop());

const things = (): CollectionClient => server.client.collection("things");

/** The collection when its graph holds everything and is no provisional one. */
async function settled(): Promise<CollectionInfo> {
  for (;;) {
    const info = await things().info();
    if (info.status.index.lag === 0 && !info.status.index.provisional) return info;
    await delay(10);
  }
}

/** Share of the ten truly nearest, by exact search, that the graphs find. */
async function recall(): Promise<number> {
  const queries = Array.from({ length: 50 }, (_, i) => ({ vector: data.vectors[i * 41]!.map((x) => x + 0.05), k: 10 }));
  const ids = (results: { id: string }[][]) => results.map((hits) => new Set(hits.map(({ id }) => id)));
  const near = ids((await things().queryBatch(queries)).results);
  const truth = ids((await things().queryBatch(queries.map((query) => ({ ...query, exact: true })))).results);
  const found = truth.map((expected, i) => [...expected].filter((id) => near[i]!.has(id)).length / expected.size);
  return found.reduce((sum, share) => sum + share, 0) / found.length;
}

async function indexFolders(): Promise<string[]> {
  const files = await readdir(path.join(server.data, "collections"), { recursive: true });
  return files.filter((file) => file.endsWith("index.snapshot")).map((file) => path.basename(path.dirname(file)));
}

test("a collection of two shards takes writes, answers, learns, and is there after a restart", async () => {
  const { info } = await server.client.createCollection("things", {
    modality: "vector",
    dimensions: data.dimensions,
    index: { m: 8, efConstruction: 60, shards: 2 },
  });
  assert.equal(info.index.shards, 2);
  await things().upsert(data.vectors.map((vector, i) => ({ id: itemId(i), vector })));
  // Equal vectors come by id, in whichever shard they are, and whether they are in a graph yet or not.
  const twins = ["twin-a", "twin-b", "twin-c", "twin-d", "twin-e"];
  const twin = data.vectors[3]!.map((x) => -x);
  await things().upsert(twins.slice(0, 3).map((id) => ({ id, vector: twin })));
  assert.equal((await settled()).status.index.points, COUNT + 3);
  await things().upsert(twins.slice(3).map((id) => ({ id, vector: twin })));
  const { results } = await things().query({ vector: twin, k: 5 });
  assert.deepEqual(
    results.map(({ id }) => id),
    twins,
  );
  await things().deleteItems({ ids: twins });
  await settled();
  assert.ok((await recall()) >= 0.95);

  await things().submitFeedback({ triplets: triplets(random, data, 60) });
  const { id } = await things().startFineTune({ learningRate: 0.01, epochs: 1, promote: "always" });
  const job = await things().waitForFineTune(id);
  assert.equal(job.status, "promoted", job.reason);
  assert.equal(job.index?.kept, true, job.index?.reason);
  assert.ok((await recall()) >= 0.95);
  const tuned = await settled();
  assert.deepEqual([tuned.status.activeGeneration, tuned.status.index.points], [1, COUNT]);
  assert.ok((await recall()) >= 0.95);

  await server.restart();
  const { index, status } = await things().info();
  assert.deepEqual([index.shards, status.index.points, status.index.lag], [2, COUNT, 0]);
  assert.ok((await recall()) >= 0.95);
  assert.deepEqual((await indexFolders()).sort(), ["shard-0", "shard-0", "shard-1", "shard-1"]);
});
