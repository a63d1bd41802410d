import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type EncodedText, RecentTexts } from "../../src/collection/encoding/recent-texts.js";
import { bertTokenizer, tinyModel, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { openDatabase } from "./support.js";

const encoded = (x: number): EncodedText => ({ vectors: Float32Array.of(x), tokens: 1 });

test("what is kept stays within its bytes, and what was used last stays longest", async () => {
  const recent = new RecentTexts(2000);
  const get = (text: string) => recent.get(0, text, 100, async () => encoded(1));
  await get("second");
  await get("first");
  for (let i = 0; i < 20; i++) {
    await get(`text ${i}`);
    await get("first");
    assert.ok(recent.status().bytes <= 2000);
  }
  const { hits, misses, entries } = recent.status();
  assert.deepEqual([hits, misses, entries], [20, 22, 2]);
  await get("second");
  assert.equal(recent.status().misses, 23);
});

test("a text that is being encoded is encoded once, and a failure is not kept", async () => {
  const recent = new RecentTexts(1 << 20);
  let calls = 0;
  const encode = async () => encoded(++calls);
  const both = await Promise.all([recent.get(0, "x", 1, encode), recent.get(0, "x", 1, encode)]);
  assert.deepEqual(
    both.map(({ vectors }) => vectors[0]),
    [1, 1],
  );
  await assert.rejects(
    recent.get(0, "bad", 1, () => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.equal((await recent.get(0, "bad", 1, encode)).vectors[0], 2);
});

test("encoders of other identities never share, equal ones do", () => {
  const recent = new RecentTexts(1);
  const identity = { weights: "a", pooling: "mean" };
  assert.equal(recent.numberOf(identity), recent.numberOf({ ...identity }));
  assert.notEqual(recent.numberOf(identity), recent.numberOf({ ...identity, weights: "b" }));
});

test("queries that come again skip the encoder, answer the same, and differ by encoder, prompt and metric", async (t) => {
  const directory = temporaryDirectory(t);
  const encoder = (seed: number) => {
    const folder = join(directory, `encoder-${seed}`);
    const config = { max_position_embeddings: 64 };
    writeEncoder(folder, {
      "model.onnx": tinyModel({ seed }).bytes,
      "tokenizer.json": bertTokenizer(),
      "config.json": config,
    });
    return `file:${folder}`;
  };
  const settings = [
    { encoder: encoder(1) },
    { encoder: encoder(1), metric: "euclidean" },
    { encoder: encoder(2) },
    { encoder: encoder(1), prompts: { query: "lost " } },
  ] as const;
  const texts = ["card lost", "card", "lost card"];
  const answers = [];
  for (const queryCacheBytes of [0, undefined]) {
    const database = await openDatabase(t, { directory: join(directory, `data-${queryCacheBytes}`), queryCacheBytes });
    for (const [i, each] of settings.entries()) {
      await database.createCollection(`c${i}`, { modality: "text", ...each });
      await database.collection(`c${i}`).upsert(texts.map((text, n) => ({ id: `${n}`, text })));
    }
    const found = [];
    for (let round = 0; round < 3; round++) {
      for (const i of settings.keys()) {
        const collection = database.collection(`c${i}`);
        for (const text of texts) found.push((await collection.query({ text, exact: true })).results);
        found.push(
          [...(await collection.embed(["card"])).vectors],
          (await database.embed(settings[i]!.encoder, ["card"])).tokens,
        );
      }
    }
    answers.push(found);
    const { hits, misses, entries, maxBytes } = database.readiness().queryCache;
    // Three texts of two encoders, and of one of them three with a prompt; c1 shares what c0 asked for.
    if (queryCacheBytes === 0) assert.deepEqual([hits, misses, entries, maxBytes], [0, 0, 0, 0]);
    else assert.deepEqual([hits, misses, entries], [3 * 4 * 4 - 8, 8, 8]);
    await database.close();
  }
  assert.deepEqual(answers[1], answers[0]);
});
