import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { openDatabase, vectorCollection } from "./support.js";

const DIMENSIONS = 16;

function folderOf(directory: string): string {
  const collections = join(directory, "collections");
  return join(collections, readdirSync(collections)[0] ?? "");
}

test("replacing every item again and again uses rows again", async (t) => {
  const random = new Random(seedOf("replacing", 5));
  const database = await openDatabase(t);
  const things = await vectorCollection(database, DIMENSIONS);
  const vector = () => Array.from({ length: DIMENSIONS }, () => random.normal());
  const replaceAll = async () => {
    const items = Array.from({ length: 400 }, (_, i) => ({ id: `i${i}`, vector: vector() }));
    await things.upsert(items);
    return items;
  };
  let last = await replaceAll();
  for (let round = 0; round < 10; round++) last = await replaceAll();
  const rows = statSync(join(folderOf(database.directory), "base-1", "vectors.f32")).size / (4 * DIMENSIONS);
  t.diagnostic(`${rows} rows for 400 items after ten replacements`);
  assert.ok(rows <= 3 * 400, `${rows} rows`);
  const { results } = await things.queryBatch(last.map((item) => ({ vector: item.vector, k: 1 })));
  assert.deepEqual(
    results.map(([hit]) => hit?.id),
    last.map(({ id }) => id),
  );

  const { directory } = database;
  await things.deleteItems({ ids: last.slice(10).map(({ id }) => id) });
  await database.close();
  const again = await openDatabase(t, { directory });
  assert.equal(await again.collection("things").count(), 10);
});

test("when writes pause the index is saved, and a start finds nothing to build", async (t) => {
  const random = new Random(seedOf("pause", 6));
  const database = await openDatabase(t);
  const things = await vectorCollection(database, DIMENSIONS);
  const vectors = Array.from({ length: 1500 }, () => Array.from({ length: DIMENSIONS }, () => random.normal()));
  await things.upsert(vectors.map((vector, i) => ({ id: `i${i}`, vector })));
  const folder = join(folderOf(database.directory), "generations", "0", "index");
  const saved = () => existsSync(folder) && readdirSync(folder).length > 0;
  for (let waited = 0; !saved() && waited < 30_000; waited += 100)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(saved(), "a snapshot after a pause");

  const { directory } = database;
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.equal((await again.info()).status.index.lag, 0);
  assert.equal((await again.query({ vector: vectors[7]!, k: 1 })).results[0]?.id, "i7");
});
