import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { CollectionClient, StreamResult } from "../../src/client/index.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
before(async () => {
  server = await serve({ limits: { bodyBytes: 100_000 } });
});
after(() => server.stop());

let made = 0;
async function fresh(): Promise<CollectionClient> {
  made += 1;
  return (await server.client.createCollection(`import-${made}`, { modality: "vector", dimensions: 2 })).collection;
}

const NDJSON = { "content-type": "application/x-ndjson" };
const post = (collection: CollectionClient, raw: string | Buffer) =>
  server.send("POST", `/v1/collections/${collection.name}/items`, { raw, headers: NDJSON });

test("takes any number of items, beyond the limits of a body and of a batch", async () => {
  const collection = await fresh();
  const count = 12_000;
  async function* items() {
    for (let i = 0; i < count; i++) yield { id: `i${i}`, vector: Float32Array.of(1, i), payload: { i } };
  }
  const result = await collection.importItems(items());
  assert.deepEqual(result, { upserted: count, failed: 0, errors: [], generation: 0 });
  assert.equal(await collection.count(), count);
  assert.deepEqual((await collection.getItem("i11999", { withVector: true })).vector, [1, 11_999]);
});

test("keeps good lines and reports bad ones, each by line and code", async () => {
  const collection = await fresh();
  const lines = [
    '{"id":"good1","vector":[1,2]}',
    "not json",
    '{"id":"unknown","vector":[1,2],"colour":"red"}',
    '{"id":"short","vector":[1]}',
    "",
    '{"id":"coerced","vector":["1",2]}',
    '{"id":".","vector":[1,2]}',
    '{"vector":[1,2]}',
    '{"id":"zero","vector":[0,0]}',
    "[]",
    `{"id":"long","vector":[1,2],"payload":{"x":"${"y".repeat(100_000)}"}}`,
    `{"id":"big","vector":[1,2],"payload":{"x":"${"y".repeat(70_000)}"}}`,
    '{"id":"good2","vector":[3,4]}',
  ];
  const answer = await post(collection, lines.join("\n"));
  assert.equal(answer.status, 200, answer.text);
  const result = answer.json as StreamResult;
  assert.equal(result.upserted, 2);
  assert.equal(result.failed, 10);
  assert.deepEqual(
    result.errors.map(({ line, code }) => [line, code]),
    [
      [2, "malformed_json"],
      [3, "validation_failed"],
      [4, "wrong_dimensions"],
      [6, "validation_failed"],
      [7, "invalid_id"],
      [8, "validation_failed"],
      [9, "zero_vector"],
      [10, "validation_failed"],
      [11, "body_too_large"],
      [12, "payload_too_large"],
    ],
  );
  assert.match(result.errors[1]?.detail ?? "", /unknown field "colour"/);
  assert.equal(await collection.count(), 2);
});

test("reports the first hundred bad lines and counts them all", async () => {
  const collection = await fresh();
  const result = (await post(collection, "{}\n".repeat(150))).json as StreamResult;
  assert.equal(result.failed, 150);
  assert.equal(result.errors.length, 100);
  assert.equal(result.errors[99]?.line, 100);
});

test("nothing at all is an import of nothing", async () => {
  const collection = await fresh();
  const expected = { upserted: 0, failed: 0, errors: [], generation: 0 };
  assert.deepEqual((await post(collection, "")).json, expected);
  assert.deepEqual((await post(collection, "\n\n")).json, expected);
});

test("an unknown collection is refused while the sender is still sending", async () => {
  let given = 0;
  async function* endless() {
    for (;;) {
      yield { id: `i${given++}`, vector: [1, 2] };
      if (given % 1000 === 0) await delay(1);
    }
  }
  await assert.rejects(server.client.collection("nope").importItems(endless()), { code: "collection_not_found" });
});

test("the client passes on the fault of what it reads from", async () => {
  const collection = await fresh();
  async function* faulty() {
    yield { id: "a", vector: [1, 2] };
    throw new Error("the source dried up");
  }
  await assert.rejects(collection.importItems(faulty()), /the source dried up/);
});

test("when the sender goes away, what it had completed stays and the server goes on", async () => {
  const collection = await fresh();
  const { hostname, port } = new URL(server.address);
  const path = `/v1/collections/${collection.name}/items`;
  const request = http.request({ hostname, port, path, method: "POST", headers: NDJSON });
  request.on("error", () => {});
  const lines = Array.from({ length: 2000 }, (_, i) => `{"id":"i${i}","vector":[1,${i}]}\n`);
  request.write(`${lines.join("")}{"id":"unfinished","vector":[1,2]}`);
  for (let tries = 0; (await collection.count()) < 512 && tries < 200; tries++) await delay(10);
  request.destroy();
  for (let tries = 0; (await collection.count()) < 2000 && tries < 200; tries++) await delay(10);
  assert.equal(await collection.count(), 2000);
  assertProblem(await server.send("GET", `${path}/unfinished`), "item_not_found");
});
