import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient } from "../../src/client/index.js";
import { assertProblem, base64, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
let collection: CollectionClient;
before(async () => {
  server = await serve();
});
after(() => server.stop());

let made = 0;
async function fresh(): Promise<CollectionClient> {
  made += 1;
  ({ collection } = await server.client.createCollection(`items-${made}`, { modality: "vector", dimensions: 2 }));
  return collection;
}

const path = (rest = "") => `/v1/collections/${collection.name}/items${rest}`;

test("what was inserted is there, whole, with its vector when asked for", async () => {
  await fresh();
  const payload = { text: "é😀", n: 1.5, nested: { deep: [1, null, { x: true }] }, empty: {} };
  const result = await collection.upsert([
    { id: "array", vector: [0.5, -2], payload },
    { id: "base64", vector: base64([0.5, -2]) },
    { id: "typed", vector: Float32Array.of(0.5, -2) },
  ]);
  assert.deepEqual(result, { upserted: 3, generation: 0 });
  assert.deepEqual(await collection.getItem("array"), { id: "array", payload });
  for (const id of ["array", "base64", "typed"]) {
    assert.deepEqual((await collection.getItem(id, { withVector: true })).vector, [0.5, -2]);
  }
  assert.equal((await collection.getItem("typed")).payload, null);
  assert.equal(await collection.count(), 3);
});

test("the same id replaces the whole item", async () => {
  await fresh();
  await collection.upsert([{ id: "a", vector: [1, 0], payload: { old: true } }]);
  await collection.upsert([{ id: "a", vector: [0, 1] }]);
  assert.deepEqual(await collection.getItem("a", { withVector: true }), { id: "a", payload: null, vector: [0, 1] });
  assert.equal(await collection.count(), 1);
});

test("PATCH merges the payload and leaves the vector", async () => {
  await fresh();
  await collection.upsert([{ id: "a", vector: [1, 0], payload: { keep: 1, change: 1 } }]);
  const item = await collection.patchItem("a", { change: { x: 2 }, add: [3] });
  assert.deepEqual(item.payload, { keep: 1, change: { x: 2 }, add: [3] });
  assert.deepEqual((await collection.getItem("a", { withVector: true })).vector, [1, 0]);
  assertProblem(await server.send("PATCH", path("/b"), { body: { payload: {} } }), "item_not_found");
  assertProblem(await server.send("PATCH", path("/a"), { body: { vector: [1, 2] } }), "validation_failed");
  const large = { payload: { text: "x".repeat(65_536) } };
  assertProblem(await server.send("PATCH", path("/a"), { body: large }), "payload_too_large");
  assert.deepEqual((await collection.getItem("a")).payload, { keep: 1, change: { x: 2 }, add: [3] });
});

test("DELETE deletes one, with or without a media type", async () => {
  await fresh();
  await collection.upsert([
    { id: "a", vector: [1, 0] },
    { id: "b", vector: [1, 0] },
  ]);
  assert.equal((await server.send("DELETE", path("/a"))).status, 204);
  assert.equal(
    (await server.send("DELETE", path("/b"), { headers: { "content-type": "application/json" } })).status,
    204,
  );
  assertProblem(await server.send("DELETE", path("/a")), "item_not_found");
  assertProblem(await server.send("GET", path("/a")), "item_not_found");
  assert.equal(await collection.count(), 0);
});

test("several are got, and deleted, by id; unknown ones count for nothing", async () => {
  await fresh();
  await collection.upsert(["a", "b", "c"].map((id) => ({ id, vector: [1, 1] })));
  const items = await collection.getItems(["c", "nope", "a"], { withVector: true });
  assert.deepEqual(
    items.map(({ id, vector }) => [id, vector]),
    [
      ["c", [1, 1]],
      ["a", [1, 1]],
    ],
  );
  assert.equal(await collection.deleteItems({ ids: ["a", "nope", "c"] }), 2);
  assert.equal(await collection.count(), 1);
});

test("items are listed by id in byte order, page by page, and each once", async () => {
  await fresh();
  const ids = ["b", "a", "é", "😀", "Z", "10", "9", "a/b", "%"];
  await collection.upsert(ids.map((id) => ({ id, vector: [1, 1], payload: { id } })));
  const expected = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const limit of [1, 2, 4, 100]) {
    const listed: string[] = [];
    for await (const item of collection.items({ limit })) listed.push(item.id);
    assert.deepEqual(listed, expected, `pages of ${limit}`);
  }
  const page = await collection.listItems({ limit: 3, withVector: true });
  assert.deepEqual(
    page.items.map(({ id }) => id),
    expected.slice(0, 3),
  );
  assert.deepEqual(page.items[0]?.vector, [1, 1]);
  const next = await collection.listItems({ limit: 3, cursor: page.nextCursor });
  assert.deepEqual(
    next.items.map(({ id }) => id),
    expected.slice(3, 6),
  );
});

test("filters select for scroll, count and delete", async () => {
  await fresh();
  await collection.upsert(
    Array.from({ length: 20 }, (_, n) => ({
      id: `n${n}`,
      vector: [1, n],
      payload: { n, tags: n % 2 ? ["odd"] : ["even", "x"] },
    })),
  );
  const odd = { must: [{ key: "tags", equals: "odd" }] };
  assert.equal(await collection.count(odd), 10);
  const large = { must: [{ key: "n", range: { gte: 15 } }], mustNot: [odd] };
  const scrolled: unknown[] = [];
  for await (const item of collection.items({ filter: large, limit: 1 })) scrolled.push(item.payload?.n);
  assert.deepEqual(scrolled, [16, 18]);
  assert.equal(await collection.deleteItems({ filter: odd }), 10);
  assert.equal(await collection.count(), 10);
  assert.equal(await collection.count(odd), 0);
});

test("ids of any shape travel through paths unchanged", async () => {
  await fresh();
  const ids = [
    "a/b",
    "/",
    "100%",
    "%25",
    "%2F",
    "%41",
    "a?b=c#d",
    "a b+c",
    "ü;x:@&=$,",
    "...",
    "get",
    "count",
    "😀".repeat(256),
    "%".repeat(256),
    "%😀".repeat(128),
    "e\u0301",
    "\u00e9",
    "\u2028",
    "constructor",
    "__proto__",
  ];
  for (const id of ids) {
    const put = await collection.upsert([{ id, vector: [1, 1], payload: { id } }]);
    assert.equal(put.upserted, 1);
    assert.deepEqual((await collection.getItem(id)).payload, { id }, `${JSON.stringify(id.slice(0, 20))} is read back`);
    assert.deepEqual((await collection.patchItem(id, { more: 1 })).payload, { id, more: 1 });
  }
  assert.equal(await collection.count(), ids.length, "no two of them are the same item");
  for (const id of ids) await collection.deleteItem(id);
  assert.equal(await collection.count(), 0);
});

test("what was acknowledged is there after a restart", async () => {
  await fresh();
  const { name } = collection;
  await collection.upsert([{ id: "kept", vector: [3, 4], payload: { x: 1 } }]);
  await server.restart();
  collection = server.client.collection(name);
  assert.deepEqual(await collection.getItem("kept", { withVector: true }), {
    id: "kept",
    payload: { x: 1 },
    vector: [3, 4],
  });
  const { results } = await collection.query({ vector: [3, 4], k: 1 });
  assert.equal(results[0]?.id, "kept");
});
