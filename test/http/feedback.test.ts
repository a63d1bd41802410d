import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient } from "../../src/client/index.js";
import { assertProblem, base64, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
before(async () => {
  server = await serve();
});
after(() => server.stop());

let made = 0;
async function fresh(): Promise<CollectionClient> {
  made += 1;
  const { collection } = await server.client.createCollection(`f${made}`, { modality: "vector", dimensions: 2 });
  await collection.upsert(["a", "b", "c", "d"].map((id, i) => ({ id, vector: [1, i] })));
  return collection;
}

const counts = async (collection: CollectionClient) => (await collection.info()).status.feedback;

test("pairs, triplets and labels are accepted, counted and listed in order", async () => {
  const collection = await fresh();
  const result = await collection.submitFeedback({
    pairs: [{ a: "a", b: { vector: Float32Array.of(1, 2) }, label: "similar" }],
    triplets: [{ anchor: "a", positive: "b", negative: "c" }],
    labels: [{ item: "d", label: "thing" }],
  });
  assert.equal(result.accepted, 3);
  assert.equal(result.total, 3);
  assert.equal(result.replaced, 0);
  assert.equal(new Set(result.ids).size, 3);
  assert.deepEqual(await counts(collection), { pairs: 1, triplets: 1, labels: 1, sinceFineTune: 3 });
  const { feedback } = await collection.listFeedback();
  assert.deepEqual(
    feedback.map(({ id }) => id),
    result.ids,
    "ids come in the order pairs, triplets, labels",
  );
  assert.deepEqual(
    feedback.map(({ kind, stale }) => [kind, stale]),
    [
      ["pair", false],
      ["triplet", false],
      ["label", false],
    ],
  );
  assert.deepEqual(feedback[0]?.pair, { a: "a", b: { vector: base64([1, 2]) }, label: "similar" });
  assert.deepEqual(feedback[1]?.triplet, { anchor: "a", positive: "b", negative: "c" });
  assert.deepEqual(feedback[2]?.label, { item: "d", label: "thing" });
});

test("a pair said again, either way round, with the other label: the newer wins", async () => {
  const collection = await fresh();
  const first = await collection.submitFeedback({ pairs: [{ a: "a", b: "b", label: "similar" }] });
  const again = await collection.submitFeedback({ pairs: [{ a: "b", b: "a", label: "dissimilar" }] });
  assert.deepEqual(again.ids, first.ids);
  assert.equal(again.replaced, 1);
  assert.equal(again.total, 1);
  const { feedback } = await collection.listFeedback();
  assert.equal(feedback[0]?.pair?.label, "dissimilar");
});

test("feedback goes stale when its item is deleted or gets other content, not when the payload changes", async () => {
  const collection = await fresh();
  await collection.submitFeedback({
    pairs: [
      { a: "a", b: "d", label: "similar" },
      { a: "b", b: "d", label: "similar" },
      { a: "c", b: "d", label: "similar" },
    ],
  });
  await collection.deleteItem("a");
  await collection.upsert([{ id: "b", vector: [9, 9] }]);
  await collection.patchItem("c", { changed: true });
  const stale = async () => (await collection.listFeedback()).feedback.map((entry) => entry.stale);
  assert.deepEqual(await stale(), [true, true, false]);
  assert.equal((await counts(collection)).pairs, 1);
  await collection.upsert([{ id: "a", vector: [1, 0] }]);
  assert.deepEqual(await stale(), [true, true, false], "an id used again is a new item");
});

test("feedback can be taken back, and survives a restart", async () => {
  let collection = await fresh();
  const { ids } = await collection.submitFeedback({
    labels: ["a", "b", "c"].map((item) => ({ item, label: "x" })),
  });
  await collection.deleteFeedback(ids[1]!);
  const path = `/v1/collections/${collection.name}/feedback/${ids[1]}`;
  assertProblem(await server.send("DELETE", path), "feedback_not_found");
  await server.restart();
  collection = server.client.collection(collection.name);
  const listed: string[] = [];
  for await (const { id } of collection.feedback({ limit: 1 })) listed.push(id);
  assert.deepEqual(listed, [ids[0], ids[2]]);
});
