import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AttuneApiError, type CollectionClient } from "../../src/client/index.js";
import { assertProblem, base64, type ServerUnderTest, serve } from "../http/support.js";

const VECTORS = { a: [1.5, -2, 0.1], b: [3, 0.25, -1e-7], c: [-1, 1, 1] };
/** As float32 has them. */
const rounded = (numbers: readonly number[]) => numbers.map(Math.fround);

let server: ServerUnderTest;
let collection: CollectionClient;
before(async () => {
  server = await serve();
  ({ collection } = await server.client.createCollection("v", {
    modality: "vector",
    dimensions: 3,
    metric: "euclidean",
  }));
  await collection.upsert([
    { id: "a", vector: VECTORS.a },
    { id: "b", vector: Float32Array.from(VECTORS.b) },
    { id: "c", vector: base64(VECTORS.c) },
  ]);
});
after(() => server.stop());

test("vectors in any form go in alike, and come back as numbers or as Float32Array", async () => {
  for (const [id, vector] of Object.entries(VECTORS)) {
    const [asNumbers, asFloats] = [rounded(vector), Float32Array.from(vector)];
    assert.deepEqual((await collection.getItem(id, { withVector: true })).vector, asNumbers);
    assert.deepEqual((await collection.getItem(id, { withVector: "float32" })).vector, asFloats);
    const query = { vector: asFloats, k: 1, exact: true };
    const [hit] = (await collection.query({ ...query, withVector: "float32" })).results;
    assert.deepEqual([hit?.id, hit?.vector], [id, asFloats]);
    const batch = await collection.queryBatch([{ ...query, withVector: "float32" }]);
    assert.deepEqual(batch.results[0]?.[0]?.vector, asFloats);
    const [plain] = (await collection.query({ ...query, withVector: true })).results;
    assert.deepEqual(plain?.vector, asNumbers);
    assert.equal((await collection.query(query)).results[0]?.vector, undefined);
  }
});

test("every way to read items brings Float32Array where asked", async () => {
  const expected = Object.values(VECTORS).map((vector) => Float32Array.from(vector));
  const asked = { withVector: "float32" } as const;
  const vectors = (items: readonly { vector?: Float32Array }[]) => items.map(({ vector }) => vector);
  assert.deepEqual(vectors(await collection.getItems(["a", "b", "c"], asked)), expected);
  assert.deepEqual(vectors((await collection.listItems(asked)).items), expected);
  assert.deepEqual(vectors((await collection.scrollItems(asked)).items), expected);
  const all = [];
  for await (const item of collection.items({ ...asked, limit: 2 })) all.push(item);
  assert.deepEqual(vectors(all), expected);
});

test("the server writes base64 of little-endian float32 where asked", async () => {
  const path = "/v1/collections/v";
  const item = await server.send("GET", `${path}/items/a?withVector=base64`);
  assert.equal(item.json.vector, base64(VECTORS.a));
  const body = { vector: VECTORS.b, k: 1, withVector: "base64" };
  assert.equal((await server.send("POST", `${path}/query`, { body })).json.results[0].vector, base64(VECTORS.b));
  const page = await server.send("POST", `${path}/items/scroll`, { body: { withVector: "base64", limit: 1 } });
  assert.equal(page.json.items[0].vector, base64(VECTORS.a));
  const wrong = await server.send("GET", `${path}/items/a?withVector=float32`);
  assert.match(assertProblem(wrong, "validation_failed").detail, /"base64"/);
});

test("what is no vector is refused by the server, never made into one", async () => {
  const refusals = [
    [["1", 2, 3] as unknown as number[], "validation_failed"],
    [[1, null, 3] as unknown as number[], "validation_failed"],
    [[1, 2, Number.NaN], "not_finite"],
    [[1, 2, 1e39], "not_finite"],
    [[1, 2], "wrong_dimensions"],
    [[], "wrong_dimensions"],
  ] as const;
  for (const [vector, code] of refusals) {
    const isCode = (error: unknown) => error instanceof AttuneApiError && error.code === code;
    await assert.rejects(collection.query({ vector }), isCode, `${vector} ${code}`);
    await assert.rejects(collection.upsert([{ id: "x", vector }]), isCode, `${vector} ${code}`);
  }
});
