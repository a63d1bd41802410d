import assert from "node:assert/strict";
import { test } from "node:test";
import { openDatabase, vectorCollection } from "./support.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test("an item is found by queries as soon as the upsert resolves, and again after a restart", async (t) => {
  const database = await openDatabase(t);
  const { directory } = database;
  const things = await vectorCollection(database, 3);
  const result = await things.upsert([
    { id: "x", vector: [1, 0, 0], payload: { kind: "axis" } },
    { id: "y", vector: [0, 2, 0] },
  ]);
  assert.deepEqual(result, { upserted: 2, generation: 0 });
  const query = { vector: [1, 0.1, 0], k: 5 };
  const before = await things.query(query);
  assert.deepEqual(
    before.results.map(({ id }) => id),
    ["x", "y"],
  );
  assert.deepEqual(before.results[0]?.payload, { kind: "axis" });
  assert.ok(Math.abs((before.results[0]?.score ?? 0) - 1 / Math.hypot(1, 0.1)) < 1e-6);

  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.deepEqual((await again.query(query)).results, before.results);
  assert.deepEqual(await again.getItem("y", { withVector: true }), { id: "y", payload: null, vector: [0, 2, 0] });
});

test("an upsert replaces the whole item; the same content again keeps its place", async (t) => {
  const things = await vectorCollection(await openDatabase(t), 2);
  await things.upsert([{ id: "a", vector: [1, 0], payload: { n: 1, old: true } }]);
  await things.upsert([{ id: "a", vector: [1, 0], payload: { n: 2 } }]);
  assert.deepEqual((await things.getItem("a")).payload, { n: 2 });
  await things.upsert([{ id: "a", vector: [0, 1] }]);
  const { results } = await things.query({ vector: [0, 1], k: 10 });
  assert.deepEqual(results, [{ id: "a", score: 1, distance: 0, payload: null }]);
  const { status } = await things.info();
  assert.equal(status.items, 1);
});

test("a refused batch stores nothing", async (t) => {
  const things = await vectorCollection(await openDatabase(t), 2);
  const good = { id: "good", vector: [1, 0] };
  const refusals: [string, unknown[]][] = [
    ["wrong_dimensions", [good, { id: "b", vector: [1, 0, 0] }]],
    ["not_finite", [good, { id: "b", vector: [1e300, 0] }]],
    ["not_finite", [good, { id: "b", vector: [Number.NaN, 0] }]],
    ["zero_vector", [good, { id: "b", vector: [0, 0] }]],
    ["duplicate_id", [good, { id: "b", vector: [1, 1] }, { id: "good", vector: [1, 1] }]],
    ["wrong_modality", [good, { id: "b", text: "words" }]],
    ["wrong_modality", [good, { id: "b" }]],
    ["invalid_id", [good, { id: "..", vector: [1, 1] }]],
    ["invalid_id", [good, { id: "\ud800", vector: [1, 1] }]],
    ["payload_too_large", [good, { id: "b", vector: [1, 1], payload: { long: "x".repeat(70_000) } }]],
  ];
  for (const [expected, items] of refusals) {
    await assert.rejects(things.upsert(items as Parameters<typeof things.upsert>[0]), code(expected), expected);
    assert.equal(await things.count(), 0, expected);
  }
});

test("payloads merge, filters see it at once, and deletes by filter count", async (t) => {
  const things = await vectorCollection(await openDatabase(t), 2);
  await things.upsert(
    Array.from({ length: 10 }, (_, i) => ({ id: `i${i}`, vector: [1, i + 1], payload: { n: i, kept: true } })),
  );
  assert.deepEqual((await things.patchItem("i3", { n: 100, fresh: null })).payload, {
    n: 100,
    kept: true,
    fresh: null,
  });
  await assert.rejects(things.patchItem("nobody", {}), code("item_not_found"));
  const big = { must: [{ key: "n", range: { gte: 8 } }] };
  assert.equal(await things.count(big), 3);
  assert.equal((await things.query({ vector: [1, 1], k: 10, filter: big })).results.length, 3);
  assert.equal(await things.deleteItems({ filter: big }), 3);
  assert.equal(await things.deleteItems({ ids: ["i0", "nobody"] }), 1);
  assert.equal(await things.count(), 6);
  await assert.rejects(things.deleteItem("i0"), code("item_not_found"));
});

test("lists go in id order by bytes, page by page, and no id appears twice", async (t) => {
  const things = await vectorCollection(await openDatabase(t), 2);
  const ids = ["b", "a", "Z", "é", "😀", "a/b", "a%2Fb", "～"];
  await things.upsert(ids.map((id) => ({ id, vector: [1, 1] })));
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await things.listItems({ limit: 3, cursor });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  assert.deepEqual(
    seen,
    [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  await assert.rejects(things.listItems({ cursor: "%%%" }), code("invalid_cursor"));
});

test("a stream keeps its good lines and reports the bad ones", async (t) => {
  const things = await vectorCollection(await openDatabase(t), 2);
  async function* lines() {
    for (let line = 1; line <= 1500; line++) {
      yield { line, item: { id: `i${line}`, vector: line % 500 === 0 ? [0, 0] : [1, line] } };
    }
  }
  const result = await things.upsertLines(lines());
  assert.equal(result.upserted, 1497);
  assert.equal(result.failed, 3);
  assert.deepEqual(
    result.errors.map(({ line, code }) => [line, code]),
    [500, 1000, 1500].map((line) => [line, "zero_vector"]),
  );
  assert.equal(await things.count(), 1497);
});

test("the same request creates a collection once; another one is a conflict", async (t) => {
  const database = await openDatabase(t);
  const settings = { modality: "vector", dimensions: 4, index: { efSearch: 80 } } as const;
  assert.equal((await database.createCollection("c", settings)).created, true);
  await database.collection("c").patch({ index: { efSearch: 20 } });
  const again = await database.createCollection("c", settings);
  assert.equal(again.created, false);
  assert.equal(again.info.index.efSearch, 20);
  await assert.rejects(database.createCollection("c", { ...settings, dimensions: 5 }), code("collection_exists"));
  assert.throws(() => database.createCollection("a/b", settings), code("validation_failed"));
  await database.deleteCollection("c");
  assert.throws(() => database.collection("c"), code("collection_not_found"));
  assert.equal((await database.createCollection("c", { ...settings, dimensions: 5 })).created, true);
});
