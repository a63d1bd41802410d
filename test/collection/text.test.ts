import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../src/collection/index.js";
import { bertTokenizer, tinyModel, VOCABULARY, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { openDatabase } from "./support.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

function encoderFolder(directory: string, seed: number): string {
  const folder = join(directory, "encoder");
  writeEncoder(folder, {
    "model.onnx": tinyModel({ seed }).bytes,
    "tokenizer.json": bertTokenizer(),
    "config.json": { max_position_embeddings: 64 },
  });
  return `file:${folder}`;
}

test("a folder whose model changed underneath is refused; other collections open, and the old files bring it back", async (t) => {
  const directory = temporaryDirectory(t);
  const encoder = encoderFolder(directory, 1);
  const data = join(directory, "data");
  const database = await openDatabase(t, { directory: data });
  await database.createCollection("texts", { modality: "text", encoder });
  await database.createCollection("plain", { modality: "vector", dimensions: 2 });
  await database.collection("texts").upsert([{ id: "a", text: "card lost" }]);
  await database.close();

  encoderFolder(directory, 2);
  const changed = await openDatabase(t, { directory: data });
  assert.throws(() => changed.collection("texts"), code("encoder_changed"));
  assert.ok(changed.readiness().collections.failed.texts?.includes("weights"));
  assert.equal(await changed.collection("plain").count(), 0);
  await changed.close();

  encoderFolder(directory, 1);
  const back = await openDatabase(t, { directory: data });
  assert.equal((await back.collection("texts").query({ text: "card lost", k: 1 })).results[0]?.id, "a");
});

test("a text longer than the encoder takes is reported once per collection", async (t) => {
  const directory = temporaryDirectory(t);
  const encoder = encoderFolder(directory, 1);
  const warnings: string[] = [];
  const log: Logger = { info: () => {}, error: () => {}, warn: (message) => warnings.push(message) };
  const database = await openDatabase(t, { directory: join(directory, "data"), log });
  await database.createCollection("texts", { modality: "text", encoder });
  const texts = database.collection("texts");
  const long = Array.from({ length: 600 }, (_, i) => VOCABULARY[4 + (i % (VOCABULARY.length - 4))]).join(" ");
  await texts.upsert([{ id: "short", text: "card" }]);
  assert.deepEqual(warnings, []);
  await texts.upsert([{ id: "a", text: long }]);
  await texts.upsert([{ id: "b", text: `${long} card` }]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /texts.*tokens/);
});

test("prompts are put before texts: of queries and of items each its own", async (t) => {
  const directory = temporaryDirectory(t);
  const encoder = encoderFolder(directory, 1);
  const database = await openDatabase(t, { directory: join(directory, "data") });
  const prompts = { query: "lost ", item: "card " };
  await database.createCollection("prompted", { modality: "text", encoder, prompts });
  await database.createCollection("bare", { modality: "text", encoder });
  const [prompted, bare] = [database.collection("prompted"), database.collection("bare")];
  await prompted.upsert([{ id: "a", text: "lost" }]);
  await bare.upsert([
    { id: "item", text: "card lost" },
    { id: "query", text: "lost card" },
  ]);
  const vector = async (from: typeof bare, id: string) => (await from.getItem(id, { withVector: true })).vector;
  assert.deepEqual(await vector(prompted, "a"), await vector(bare, "item"));
  const [asked] = (await prompted.query({ text: "card", exact: true })).results;
  const [expected] = (await bare.query({ itemId: "query", exact: true })).results;
  assert.ok(Math.abs((asked?.distance ?? 0) - (expected?.distance ?? 1)) < 1e-6);
});

test("encoders that cannot be had are refused when the collection is created, and nothing is left of it", async (t) => {
  const database = await openDatabase(t);
  for (const [encoder, expected] of [
    ["file:/nowhere/at/all", "unknown_encoder"],
    ["no-such-encoder", "unknown_encoder"],
  ] as const) {
    await assert.rejects(database.createCollection("texts", { modality: "text", encoder }), code(expected), encoder);
  }
  assert.deepEqual((await database.listCollections()).collections, []);
  await assert.rejects(database.embed("nothing", ["x"]), code("model_not_found"));
});

test("the graph is not built while texts are embedded to be stored, and is afterwards", async (t) => {
  const database = await openDatabase(t);
  await database.createCollection("texts", { modality: "text" });
  const texts = database.collection("texts");
  const items = (name: string, count: number) =>
    Array.from({ length: count }, (_, i) => ({ id: `${name}${i}`, text: `${name} ${i} of the cards that were lost` }));
  const lag = async () => (await texts.info()).status.index.lag;
  const built = async () => {
    for (const end = performance.now() + 60_000; (await lag()) > 0; await sleep(20)) {
      assert.ok(performance.now() < end, `${await lag()} items wait`);
    }
  };
  await texts.upsert(items("first", 1));
  await built();
  let embedding = true;
  const many = texts.upsert(items("many", 5000)).finally(() => {
    embedding = false;
  });
  await texts.upsert(items("few", 50));
  // The build of 50 takes some ten milliseconds.
  await sleep(100);
  assert.deepEqual([await lag(), embedding], [50, true]);
  await many;
  await built();
});
