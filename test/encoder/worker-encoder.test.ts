import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Encoder, openEncoder } from "../../src/encoder/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { bertTokenizer, TINY_DIMENSIONS, tinyModel, VOCABULARY, writeEncoder } from "./support/tiny-encoder.js";

const SENTENCES = ["where is my card", "a transfer has not arrived yet", "why was I charged a fee for this payment"];
const bulkTexts = (count: number) => Array.from({ length: count }, (_, at) => `${SENTENCES[at % 3]} ${at}`);

async function openUseLite(t: TestContext): Promise<Encoder> {
  const encoder = await openEncoder("use-lite", { provider: "cpu" });
  t.after(() => encoder.close());
  return encoder;
}

/** An encoder whose model fails on the word "world": its id lies beyond the model's table. */
async function openFragile(t: TestContext): Promise<Encoder> {
  const directory = temporaryDirectory(t);
  const tokenizer = bertTokenizer() as { model: { vocab: Record<string, number> } };
  tokenizer.model.vocab.world = VOCABULARY.length + 10;
  writeEncoder(directory, { "model.onnx": tinyModel().bytes, "tokenizer.json": tokenizer });
  // Opening embeds probe texts; "world" is not among them.
  const encoder = await openEncoder(`file:${directory}`, { provider: "cpu", threads: 1 });
  t.after(() => encoder.close());
  return encoder;
}

describe("an encoder in its worker thread", () => {
  it("gives concurrent calls the vectors that each would get alone", async (t) => {
    const encoder = await openUseLite(t);
    const texts = bulkTexts(24);
    const together = await Promise.all(
      texts.map((text, at) => encoder.encode([text], { priority: at % 2 === 0 ? "query" : "bulk" })),
    );
    for (const [at, text] of texts.entries()) {
      const alone = await encoder.encode([text]);
      for (const [place, value] of alone.vectors.entries()) {
        assert.ok(Math.abs(together[at]!.vectors[place]! - value) < 1e-5, `${text}, number ${place}`);
      }
    }
  });

  it("answers a query long before the bulk that was there first", async (t) => {
    const encoder = await openUseLite(t);
    const order: string[] = [];
    const bulk = encoder.encode(bulkTexts(2_000)).then(() => order.push("bulk"));
    await sleep(50);
    const query = encoder.encode(["where is my card"], { priority: "query" }).then(() => order.push("query"));
    await Promise.all([bulk, query]);
    assert.deepEqual(order, ["query", "bulk"]);
  });

  it("answers no texts with no vectors", async (t) => {
    const encoder = await openUseLite(t);
    assert.deepEqual(await encoder.encode([]), { vectors: new Float32Array(0), truncated: 0, tokens: 0 });
  });

  it("gives up what an aborted call still waits for, and serves the others", async (t) => {
    const encoder = await openUseLite(t);
    const controller = new AbortController();
    const started = performance.now();
    const aborted = encoder.encode(bulkTexts(3_000), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("changed my mind")), 30);
    await assert.rejects(aborted, /changed my mind/);
    await encoder.encode(["still here"]);
    assert.ok(performance.now() - started < 1_500, "3,000 texts take longer than that");
    await assert.rejects(encoder.encode(["x"], { signal: AbortSignal.abort(new Error("too late")) }), /too late/);
  });

  it("refuses what waits when it is closed, and everything after", async () => {
    const encoder = await openEncoder("use-lite", { provider: "cpu" });
    const waiting = assert.rejects(encoder.encode(bulkTexts(2_000)), { code: "shutting_down" });
    await sleep(30);
    await Promise.all([encoder.close(), encoder.close()]);
    await waiting;
    await assert.rejects(encoder.encode(["x"]), { code: "shutting_down" });
    await encoder.close();
  });

  it("fails the call on which the model fails, and serves the next", async (t) => {
    const encoder = await openFragile(t);
    await assert.rejects(encoder.encode(["world"]), { code: "invalid_encoder", message: /file:/ });
    const { vectors } = await encoder.encode(["my card"]);
    assert.equal(vectors.length, TINY_DIMENSIONS);
  });

  it("does not keep other calls from their answer when one of a batch makes the model fail", async (t) => {
    const encoder = await openFragile(t);
    await encoder.encode(["hello"]);
    const [good, bad] = await Promise.allSettled([encoder.encode(["my card"]), encoder.encode(["world"])]);
    assert.equal(bad.status, "rejected");
    assert.equal(good.status, "fulfilled");
  });
});
