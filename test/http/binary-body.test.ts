import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient } from "../../src/client/index.js";
import type { ErrorCode } from "../../src/errors/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

const DIMENSIONS = 5;
const random = new Random(seedOf("binary bodies", 21));
const vectorOf = () => Float32Array.from({ length: DIMENSIONS }, () => random.normal());

/** A body written by hand, from the table of docs/binary.md. */
function bodyOf(header: unknown, vectors: readonly ArrayLike<number>[], fixed: Partial<Record<string, number>> = {}) {
  let text = typeof header === "string" ? header : JSON.stringify(header);
  while (Buffer.byteLength(text) % 4 !== 0) text += " ";
  const numbers = vectors.flatMap((vector) => Array.from(vector));
  const { version = 1, headerBytes = Buffer.byteLength(text), count = vectors.length } = fixed;
  const { dimensions = vectors[0]?.length ?? 0 } = fixed;
  const start = Buffer.alloc(20);
  start.write("ATNV");
  for (const [i, value] of [version, headerBytes, count, dimensions].entries()) start.writeUInt32LE(value, 4 + i * 4);
  const floats = Buffer.alloc(numbers.length * 4);
  for (const [i, x] of numbers.entries()) floats.writeFloatLE(x, i * 4);
  return Buffer.concat([start, Buffer.from(text), floats]);
}

let server: ServerUnderTest;
let collection: CollectionClient;
before(async () => {
  server = await serve();
  const settings = { modality: "vector", dimensions: DIMENSIONS } as const;
  ({ collection } = await server.client.createCollection("v", settings));
  const items = Array.from({ length: 60 }, (_, n) => ({
    id: `i${n}`,
    vector: vectorOf(),
    payload: { n, even: n % 2 === 0 },
  }));
  await collection.upsert(items);
});
after(() => server.stop());

const post = (path: string, raw: Buffer) =>
  server.send("POST", `/v1/collections/v/${path}`, { raw, headers: { "content-type": "application/octet-stream" } });

test("a binary query answers what JSON answers, with every option", async () => {
  const options = [
    {},
    { k: 3, withPayload: false },
    { k: 4, exact: true, withVector: "base64", filter: { must: [{ key: "even", equals: true }] } },
    { k: 60, minScore: 0.1, efSearch: 80, filter: { must: [{ key: "é", exists: false }] } },
  ];
  for (const header of options) {
    const vector = vectorOf();
    const binary = await post("query", bodyOf(header, [vector]));
    assert.equal(binary.status, 200, binary.text);
    const body = { ...header, vector: Array.from(vector) };
    const json = await server.send("POST", "/v1/collections/v/query", { body });
    assert.ok(json.json.results.length > 0);
    assert.deepEqual(binary.json.results, json.json.results);
  }
});

test("a binary batch answers each vector as alone, also from the client", async () => {
  const vectors = Array.from({ length: 7 }, vectorOf);
  const batch = await post("query/batch", bodyOf({ k: 2 }, vectors));
  const client = await collection.queryVectors(vectors, { k: 2 });
  for (const [i, vector] of vectors.entries()) {
    const alone = (await collection.query({ vector, k: 2 })).results;
    assert.deepEqual(batch.json.results[i], alone);
    assert.deepEqual(client.results[i], alone);
  }
  const [[hit] = []] = (await collection.queryVectors(vectors, { k: 1, withVector: "float32" })).results;
  assert.ok(hit?.vector instanceof Float32Array);
});

test("items go in with ids and payloads of any length of header, and come back to the bit", async () => {
  for (const suffix of ["", "x", "xx", "é", "日本"]) {
    const ids = [`one${suffix}`, `two${suffix}`];
    const vectors = [vectorOf(), vectorOf()];
    const header = { ids, payloads: [{ name: suffix }, null] };
    const { json } = await post("items", bodyOf(header, vectors));
    assert.deepEqual(json, { upserted: 2, generation: 0 });
    const items = await collection.getItems(ids, { withVector: "float32" });
    assert.deepEqual(items, [
      { id: ids[0], payload: { name: suffix }, vector: vectors[0] },
      { id: ids[1], payload: null, vector: vectors[1] },
    ]);
  }
});

test("the client inserts in a binary body", async () => {
  const vectors = Array.from({ length: 40 }, vectorOf);
  const ids = vectors.map((_, i) => `client-${i}`);
  const payloads = vectors.map((_, i) => (i % 3 === 0 ? null : { i }));
  assert.equal((await collection.upsertVectors(ids, vectors, { payloads })).upserted, 40);
  const items = await collection.getItems(ids, { withVector: "float32" });
  assert.deepEqual(
    items,
    ids.map((id, i) => ({ id, payload: payloads[i], vector: vectors[i] })),
  );
  assert.equal((await collection.upsertVectors(["bare"], [vectors[0]!])).upserted, 1);
  assert.throws(() => collection.upsertVectors(["a", "b"], [new Float32Array(2), new Float32Array(3)]), RangeError);
});

test("a body that is not laid out so is refused by what is wrong with it", async () => {
  const good = bodyOf({}, [vectorOf(), vectorOf()]);
  const [spoilt, unaligned] = [Buffer.from(good), bodyOf({}, [vectorOf()], { headerBytes: 3 })];
  spoilt.write("ATNW");
  const refusals: [Buffer, ErrorCode, RegExp][] = [
    [spoilt, "malformed_binary", /does not begin with "ATNV"/],
    [good.subarray(0, 19), "malformed_binary", /it has 19 in all/],
    [bodyOf({}, [vectorOf()], { version: 2 }), "malformed_binary", /version 2; this server reads version 1/],
    [unaligned, "malformed_binary", /header has 3 bytes.*multiple of 4/],
    [bodyOf({}, []), "malformed_binary", /0 vectors of 0 numbers/],
    [bodyOf({}, [], { count: 0xffffffff }), "malformed_binary", /4294967295 vectors of 0 numbers/],
    [
      good.subarray(0, -1),
      "malformed_binary",
      /too short: got 63 bytes, expected 64 \(20 \+ 4 of its header \+ 2 x 5 x 4\)/,
    ],
    [Buffer.concat([good, Buffer.alloc(4)]), "malformed_binary", /too long: got 68 bytes, expected 64/],
    [bodyOf({}, [vectorOf()], { headerBytes: 0xfffffffc }), "malformed_binary", /too short/],
    [bodyOf({}, [vectorOf()], { count: 0xffffffff }), "malformed_binary", /too short/],
    [bodyOf("{nope}", [vectorOf()]), "malformed_json", /nope|JSON/],
    [bodyOf("", [vectorOf()]), "validation_failed", /header/],
    [bodyOf("[]", [vectorOf()]), "validation_failed", /expected an object/],
    [bodyOf({ limit: 3 }, [vectorOf()]), "validation_failed", /unknown field "limit"/],
    [bodyOf({ vector: [1] }, [vectorOf()]), "validation_failed", /unknown field "vector"/],
    [bodyOf({ k: "3" }, [vectorOf()]), "validation_failed", /\/k/],
    [bodyOf({ filter: { must: [{ key: "a" }] } }, [vectorOf()]), "validation_failed", /\/filter\/must\/0/],
    [bodyOf({ k: 10_001 }, [vectorOf()]), "k_too_large", /10001/],
    [bodyOf({}, [vectorOf(), [1, 2, 3, Number.NaN, 5]]), "not_finite", /number 3 .* NaN .*\/queries\/1/],
    [bodyOf({}, [[1, Number.POSITIVE_INFINITY, 0, 0, 0]]), "not_finite", /number 1 .* Infinity/],
    [bodyOf({}, [vectorOf(), new Float32Array(DIMENSIONS)]), "zero_vector", /\/queries\/1/],
    [
      bodyOf({}, [
        [1, 2],
        [3, 4],
      ]),
      "wrong_dimensions",
      /2 dimensions.*5/,
    ],
    [bodyOf({}, Array.from({ length: 1001 }, vectorOf)), "batch_too_large", /1001 queries/],
    [Buffer.alloc(0), "validation_failed", /missing/],
  ];
  for (const [raw, code, detail] of refusals) {
    assert.match(assertProblem(await post("query/batch", raw), code).detail, detail);
  }
  assert.match(assertProblem(await post("query", good), "validation_failed").detail, /2 vectors.*query\/batch/);
});

test("a refused insert says which item is at fault, and stores nothing", async () => {
  const before = await collection.count();
  const two = [vectorOf(), vectorOf()];
  const refusals: [Buffer, ErrorCode, RegExp][] = [
    [bodyOf({}, two), "validation_failed", /"ids" is missing/],
    [bodyOf({ ids: ["a"] }, two), "validation_failed", /1 ids for 2 vectors/],
    [bodyOf({ ids: ["a", "b"], payloads: [{}] }, two), "validation_failed", /1 payloads for 2 vectors/],
    [bodyOf({ ids: ["a", 3] }, two), "validation_failed", /\/ids\/1/],
    [bodyOf({ ids: ["a", "b"], payloads: [{}, "x"] }, two), "validation_failed", /\/payloads\/1/],
    [bodyOf({ ids: ["a", "a"] }, two), "duplicate_id", /"a"/],
    [bodyOf({ ids: ["a", ".."] }, two), "invalid_id", /\/items\/1/],
    [bodyOf({ ids: ["a", "b"] }, [two[0]!, [1, 1, 1, 1, Number.NaN]]), "not_finite", /number 4 .*\/items\/1/],
    [bodyOf({ ids: ["a", "b"] }, [[1], [2]]), "wrong_dimensions", /\/items\/0/],
    [bodyOf({ ids: ["a", "b"] }, two).subarray(0, -4), "malformed_binary", /too short/],
  ];
  for (const [raw, code, detail] of refusals)
    assert.match(assertProblem(await post("items", raw), code).detail, detail);
  assert.equal(await collection.count(), before);
});

test("routes without vectors take no binary body, and a collection of texts no vectors as items", async () => {
  const raw = bodyOf({ ids: ["a"] }, [vectorOf()]);
  for (const path of ["items/get", "items/count", "feedback"]) {
    assertProblem(await post(path, raw), "unsupported_media_type");
  }
});
