import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionInfo } from "../../src/client/index.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
before(async () => {
  server = await serve();
});
after(() => server.stop());

const VECTOR = { modality: "vector", dimensions: 4 } as const;

test("PUT creates a collection with every default filled in, and says so once", async () => {
  const created = await server.send("PUT", "/v1/collections/made", { body: VECTOR });
  assert.equal(created.status, 201);
  assert.equal(created.headers.location, "/v1/collections/made");
  const info = created.json as CollectionInfo;
  assert.equal(info.name, "made");
  assert.equal(info.metric, "cosine");
  assert.deepEqual(info.index, { m: 16, efConstruction: 200, efSearch: 64, shards: 1 });
  assert.equal(info.autoTune, null);
  assert.equal(info.keepGenerations, 3);
  assert.equal(info.status.items, 0);
  assert.equal(info.status.activeGeneration, 0);
  assert.ok(!Number.isNaN(Date.parse(info.createdAt)));
  const again = await server.send("PUT", "/v1/collections/made", { body: { ...VECTOR, metric: "cosine" } });
  assert.equal(again.status, 200, "the same settings, spelled otherwise, find the collection");
});

test("PUT with other settings is refused, and later changes by PATCH do not matter", async () => {
  await server.client.createCollection("settled", VECTOR);
  await server.client.collection("settled").patch({ index: { efSearch: 200 }, keepGenerations: 5 });
  assert.equal((await server.send("PUT", "/v1/collections/settled", { body: VECTOR })).status, 200);
  const other = { ...VECTOR, dimensions: 5 };
  assertProblem(await server.send("PUT", "/v1/collections/settled", { body: other }), "collection_exists");
  assert.equal((await server.client.collection("settled").info()).dimensions, 4);
});

test("PATCH changes what can change, and only that", async () => {
  const { collection } = await server.client.createCollection("patched", VECTOR);
  const info = await collection.patch({ index: { efSearch: 99 }, autoTune: { minFeedback: 500, margin: 0.1 } });
  assert.equal(info.index.efSearch, 99);
  assert.equal(info.index.m, 16);
  assert.deepEqual(info.autoTune, { minFeedback: 500, margin: 0.1 });
  assert.equal((await collection.patch({ autoTune: null })).autoTune, null);
  assertProblem(
    await server.send("PATCH", "/v1/collections/patched", { body: { dimensions: 3 } }),
    "validation_failed",
  );
  assertProblem(await server.send("PATCH", "/v1/collections/patched", { body: {} }), "validation_failed");
  const other = await server.send("PATCH", "/v1/collections/patched", { body: { index: { m: 3 } } });
  assertProblem(other, "validation_failed");
  assert.match(other.text, /unknown field .*m.*; known here: efSearch/);
  assertProblem(await server.send("PATCH", "/v1/collections/patched", { body: { index: {} } }), "validation_failed");
  assertProblem(
    await server.send("PATCH", "/v1/collections/patched", { body: { index: { efSearch: 99, shards: 2 } } }),
    "validation_failed",
  );
});

test("settings survive a restart", async () => {
  await server.client.createCollection("kept", { ...VECTOR, metric: "euclidean" });
  await server.client.collection("kept").patch({ keepGenerations: 7 });
  await server.restart();
  const info = await server.client.collection("kept").info();
  assert.equal(info.metric, "euclidean");
  assert.equal(info.keepGenerations, 7);
});

test("lists are in order, paged, and without repetition", async () => {
  for (const name of ["page-c", "page-a", "page-b"]) await server.client.createCollection(name, VECTOR);
  const names: string[] = [];
  for await (const { name } of server.client.collections({ limit: 2 })) names.push(name);
  assert.deepEqual(names, [...new Set(names)].sort());
  assert.ok(["page-a", "page-b", "page-c"].every((name) => names.includes(name)));
  const page = await server.client.listCollections({ limit: 1 });
  assert.equal(page.collections.length, 1);
  assert.ok(page.nextCursor !== undefined);
});

test("DELETE deletes, and the name can be used anew", async () => {
  await server.client.createCollection("gone", VECTOR);
  const collection = server.client.collection("gone");
  await collection.upsert([{ id: "a", vector: [1, 0, 0, 0] }]);
  const deleted = await server.send("DELETE", "/v1/collections/gone");
  assert.equal(deleted.status, 204);
  assert.equal(deleted.text, "");
  assertProblem(await server.send("GET", "/v1/collections/gone"), "collection_not_found");
  assertProblem(await server.send("DELETE", "/v1/collections/gone"), "collection_not_found");
  const { created, info } = await server.client.createCollection("gone", { ...VECTOR, dimensions: 2 });
  assert.ok(created);
  assert.equal(info.status.items, 0);
});

test("impossible settings are refused, by code", async () => {
  const refusals = [
    [{ modality: "vector" }, "invalid_setting"],
    [{ ...VECTOR, encoder: "use-lite" }, "invalid_setting"],
    [{ ...VECTOR, prompts: { query: "query: " } }, "invalid_setting"],
    [{ modality: "text", dimensions: 4 }, "invalid_setting"],
    [{ ...VECTOR, dimensions: 16_385 }, "too_many_dimensions"],
    [{ modality: "text", encoder: "no-such-encoder" }, "unknown_encoder"],
    [{ modality: "text", encoder: "file:/no/such/directory" }, "unknown_encoder"],
    [{ ...VECTOR, index: { shards: 0 } }, "validation_failed"],
    [{ ...VECTOR, index: { shards: 17 } }, "validation_failed"],
    [{ ...VECTOR, index: { shards: 1.5 } }, "validation_failed"],
    [{ ...VECTOR, dimensions: 0 }, "validation_failed"],
    [{ ...VECTOR, dimensions: "4" }, "validation_failed"],
    [{ ...VECTOR, metric: "manhattan" }, "validation_failed"],
    [{ modality: "sound" }, "validation_failed"],
    [{}, "validation_failed"],
    [{ ...VECTOR, colour: "red" }, "validation_failed"],
  ] as const;
  for (const [body, code] of refusals) {
    assertProblem(await server.send("PUT", "/v1/collections/impossible", { body }), code);
  }
  assertProblem(await server.send("GET", "/v1/collections/impossible"), "collection_not_found");
});

test("names that are not names are refused", async () => {
  for (const name of ["Upper", "-dash", "a".repeat(64), "a%2Fb", "caf%C3%A9", "a%20b", "a.b"]) {
    assertProblem(await server.send("PUT", `/v1/collections/${name}`, { body: VECTOR }), "validation_failed");
  }
  assertProblem(await server.send("PUT", "/v1/collections/a/b", { body: VECTOR }), "route_not_found");
  assert.equal((await server.send("PUT", `/v1/collections/${"a".repeat(63)}`, { body: VECTOR })).status, 201);
});
