import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient } from "../../src/client/index.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
let collection: CollectionClient;
before(async () => {
  server = await serve();
  ({ collection } = await server.client.createCollection("notes", { modality: "text" }));
  await collection.upsert([
    { id: "cat", text: "a cat sleeps on the sofa", payload: { kind: "animal" } },
    { id: "bank", text: "my credit card payment was declined", payload: { kind: "money" } },
    { id: "rain", text: "it will rain tomorrow", payload: { kind: "weather" } },
  ]);
});
after(() => server.stop());

const post = (path: string, body: unknown) => server.send("POST", path, { body });

test("texts are found by meaning", async () => {
  const near = async (text: string) => (await collection.query({ text, k: 1 })).results[0]?.id;
  assert.equal(await near("why was my card refused?"), "bank");
  assert.equal(await near("tomorrow's weather forecast"), "rain");
  assert.equal(await near("a kitten taking a nap"), "cat");
  assert.equal((await collection.getItem("cat")).text, "a cat sleeps on the sofa");
});

test("a collection's status names its encoder", async () => {
  const { encoder, status, dimensions } = await collection.info();
  assert.equal(encoder, "use-lite");
  assert.equal(dimensions, 512);
  assert.equal(status.encoder?.dimensions, 512);
  assert.equal(status.encoder?.provider, "cpu");
  assert.ok((status.encoder?.maxTokens ?? 0) > 10);
});

test("texts that cannot be embedded are refused, and nothing of their batch is stored", async () => {
  const items = "/v1/collections/notes/items";
  for (const [text, code] of [
    ["", "empty_text"],
    [" \n\t", "empty_text"],
    ["half a \ud83d", "invalid_text"],
  ] as const) {
    assertProblem(
      await post(items, {
        items: [
          { id: "good", text: "words" },
          { id: "bad", text },
        ],
      }),
      code,
    );
    assertProblem(await post("/v1/collections/notes/query", { text }), code);
    assertProblem(await post("/v1/embeddings", { model: "notes", input: ["words", text] }), code);
    assertProblem(await post("/v1/collections/notes/feedback", { labels: [{ item: { text }, label: "x" }] }), code);
  }
  assertProblem(await post(items, { items: [{ id: "v", vector: Array(512).fill(1) }] }), "wrong_modality");
  assert.equal(await collection.count(), 3);
  const vector = await post("/v1/collections/notes/query", { vector: [1, 2] });
  assertProblem(vector, "wrong_dimensions");
});

test("embeddings have the OpenAI shape, as numbers and as base64", async () => {
  const input = ["a cat", "a dog"];
  const numbers = await server.client.embed({ model: "use-lite", input });
  assert.equal(numbers.object, "list");
  assert.equal(numbers.model, "use-lite");
  assert.deepEqual(
    numbers.data.map(({ object, index }) => [object, index]),
    [
      ["embedding", 0],
      ["embedding", 1],
    ],
  );
  assert.ok(numbers.usage.prompt_tokens >= 4);
  assert.equal(numbers.usage.total_tokens, numbers.usage.prompt_tokens);
  const encoded = await server.client.embed({ model: "notes", input, encoding_format: "base64", user: "someone" });
  for (const [i, { embedding }] of encoded.data.entries()) {
    const bytes = Buffer.from(embedding as string, "base64");
    assert.equal(bytes.length, 512 * 4);
    const expected = numbers.data[i]!.embedding as number[];
    for (let d = 0; d < 512; d++) assert.ok(Math.abs(bytes.readFloatLE(d * 4) - expected[d]!) < 1e-6);
  }
  const single = await server.client.embed({ model: "notes", input: "a cat" });
  assert.equal(single.data.length, 1);
  for (const body of [
    { model: "notes" },
    { input: "x" },
    { model: "notes", input: [] },
    { model: "notes", input: [1, 2] },
  ]) {
    assertProblem(await post("/v1/embeddings", body), "validation_failed");
  }
});

test("text feedback about what is not an item is kept as it is", async () => {
  const { ids } = await collection.submitFeedback({
    pairs: [{ a: { text: "card refused" }, b: "bank", label: "similar" }],
  });
  const { feedback } = await collection.listFeedback();
  assert.deepEqual(feedback[0], {
    ...feedback[0],
    id: ids[0],
    pair: { a: { text: "card refused" }, b: "bank", label: "similar" },
  });
});
