import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient, Hit } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, base64, type ServerUnderTest, serve } from "./support.js";

const DIMENSIONS = 8;
const COUNT = 300;

let server: ServerUnderTest;
let cosine: CollectionClient;
let euclidean: CollectionClient;
const random = new Random(seedOf("query over HTTP", 5));
const vectorOf = () => Array.from({ length: DIMENSIONS }, () => Math.fround(random.normal()));
const items = Array.from({ length: COUNT }, (_, n) => ({
  id: `i${n}`,
  vector: vectorOf(),
  payload: { n, group: `g${n % 7}` },
}));

before(async () => {
  server = await serve();
  const settings = { modality: "vector", dimensions: DIMENSIONS } as const;
  ({ collection: cosine } = await server.client.createCollection("cosine", settings));
  ({ collection: euclidean } = await server.client.createCollection("euclidean", { ...settings, metric: "euclidean" }));
  await cosine.upsert(items);
  await euclidean.upsert(items);
});
after(() => server.stop());

/** Brute force in float64, by the definitions of the contract. */
const DISTANCE = {
  cosine: (a: number[], b: number[]) => {
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  },
  euclidean: (a: number[], b: number[]) => Math.hypot(...a.map((value, i) => value - b[i]!)),
};

function bruteForce(metric: "cosine" | "euclidean", query: number[], among = items) {
  return among
    .map(({ id, vector }) => ({ id, distance: DISTANCE[metric](query, vector) }))
    .sort((a, b) => a.distance - b.distance);
}

function assertNearest(results: Hit[], expected: { id: string; distance: number }[], k: number): void {
  assert.deepEqual(
    results.map(({ id }) => id),
    expected.slice(0, k).map(({ id }) => id),
  );
  for (const [i, { distance }] of results.entries()) {
    assert.ok(
      Math.abs(distance - expected[i]!.distance) < 1e-5,
      `distance ${distance}, expected ${expected[i]!.distance}`,
    );
  }
}

test("the nearest come first, with distance and score as defined, under both metrics", async () => {
  for (let round = 0; round < 10; round++) {
    const vector = vectorOf();
    const near = await cosine.query({ vector, exact: true });
    assertNearest(near.results, bruteForce("cosine", vector), 10);
    for (const { score, distance } of near.results) assert.ok(Math.abs(score - (1 - distance)) < 1e-6);
    const close = await euclidean.query({ vector, exact: true, k: 3 });
    assertNearest(close.results, bruteForce("euclidean", vector), 3);
    for (const { score, distance } of close.results) assert.ok(Math.abs(score - 1 / (1 + distance)) < 1e-6);
    assert.equal(near.generation, 0);
    assert.ok(near.tookMs >= 0 && near.tookMs < 10_000);
  }
});

test("the graph finds what brute force finds, at a high efSearch", async () => {
  const vector = vectorOf();
  const { results } = await cosine.query({ vector, efSearch: COUNT });
  assertNearest(results, bruteForce("cosine", vector), 10);
});

test("a vector may be numbers, base64 or a Float32Array", async () => {
  const vector = vectorOf();
  const expected = (await cosine.query({ vector })).results;
  assert.deepEqual((await cosine.query({ vector: base64(vector) })).results, expected);
  assert.deepEqual((await cosine.query({ vector: Float32Array.from(vector) })).results, expected);
});

test("itemId leaves that item out", async () => {
  const { id, vector } = items[17]!;
  const { results } = await cosine.query({ itemId: id, exact: true, k: 5 });
  assertNearest(
    results,
    bruteForce(
      "cosine",
      vector,
      items.filter((item) => item.id !== id),
    ),
    5,
  );
});

test("payloads come unless refused, vectors when asked for", async () => {
  const { vector } = items[3]!;
  const [full] = (await cosine.query({ vector, k: 1, withVector: true })).results;
  assert.deepEqual(full?.payload, { n: 3, group: "g3" });
  assert.deepEqual(full?.vector, vector);
  const [bare] = (await cosine.query({ vector, k: 1, withPayload: false })).results;
  assert.deepEqual(Object.keys(bare ?? {}).sort(), ["distance", "id", "score"]);
});

test("minScore cuts the results off", async () => {
  const vector = vectorOf();
  const all = bruteForce("cosine", vector);
  const minScore = 1 - (all[3]!.distance + all[4]!.distance) / 2;
  assertNearest((await cosine.query({ vector, exact: true, minScore })).results, all, 4);
});

test("a filter gives k results whenever k match, and none where none do", async () => {
  const vector = vectorOf();
  for (const group of ["g0", "g6"]) {
    const among = items.filter(({ payload }) => payload.group === group);
    const { results } = await cosine.query({ vector, filter: { must: [{ key: "group", equals: group }] } });
    assertNearest(results, bruteForce("cosine", vector, among), 10);
  }
  const nothing = await cosine.query({ vector, filter: { must: [{ key: "group", equals: "none" }] } });
  assert.deepEqual(nothing.results, []);
});

test("k beyond the number of items gives them all", async () => {
  const { results } = await cosine.query({ vector: vectorOf(), k: 10_000 });
  assert.equal(results.length, COUNT);
});

test("items equally near come by id", async () => {
  const { collection } = await server.client.createCollection("ties", { modality: "vector", dimensions: 2 });
  await collection.upsert(["c", "a", "b", "é", "Z"].map((id) => ({ id, vector: [1, 1] })));
  const { results } = await collection.query({ vector: [1, 1] });
  assert.deepEqual(
    results.map(({ id }) => id),
    ["Z", "a", "b", "c", "é"],
  );
});

test("where the cut goes through a tie, ids decide who is in, whatever came first", async () => {
  const { collection } = await server.client.createCollection("tied-cut", { modality: "vector", dimensions: 2 });
  const ids = Array.from({ length: 250 }, (_, n) => `t${String(n).padStart(3, "0")}`);
  await collection.upsert([...ids].reverse().map((id) => ({ id, vector: [1, 1] })));
  await collection.upsert([
    { id: "near", vector: [1, 0.1] },
    { id: "far", vector: [-1, 1] },
  ]);
  for (const exact of [true, false]) {
    const { results } = await collection.query({ vector: [1, 0], k: 4, exact });
    assert.deepEqual(
      results.map(({ id }) => id),
      ["near", ...ids.slice(0, 3)],
    );
    const others = await collection.query({ itemId: "t000", k: 3, exact });
    assert.deepEqual(
      others.results.map(({ id }) => id),
      ids.slice(1, 4),
    );
  }
});

test("a batch answers each query as alone, in one generation", async () => {
  const queries = [{ vector: vectorOf() }, { vector: vectorOf(), k: 3, withPayload: false }, { itemId: "i5", k: 2 }];
  const batch = await cosine.queryBatch(queries);
  assert.equal(batch.generation, 0);
  assert.equal(batch.results.length, 3);
  for (const [i, query] of queries.entries()) {
    assert.deepEqual(batch.results[i], (await cosine.query(query)).results);
  }
});

test("queries side by side answer as one by one", async () => {
  const vectors = Array.from({ length: 40 }, vectorOf);
  const together = await Promise.all(vectors.map((vector) => cosine.query({ vector, exact: true, k: 4 })));
  for (const [i, { results }] of together.entries()) assertNearest(results, bruteForce("cosine", vectors[i]!), 4);
});

test("a refused batch says which query is at fault", async () => {
  const good = { vector: vectorOf() };
  const faults = [
    { query: { vector: good.vector, k: 10_001 }, code: "k_too_large", path: "/queries/1/k" },
    { query: { vector: [1] }, code: "wrong_dimensions", path: "/queries/1" },
    { query: { itemId: "nobody" }, code: "item_not_found", path: "/queries/1" },
  ] as const;
  for (const { query, code, path } of faults) {
    const answer = await server.send("POST", "/v1/collections/cosine/query/batch", {
      body: { queries: [good, query] },
    });
    assertProblem(answer, code);
    assert.equal(answer.json.errors[0].path, path);
    assert.match(answer.json.detail, /\/queries\/1/);
  }
});
