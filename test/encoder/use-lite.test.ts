import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { sha256 } from "../../src/encoder/files.js";
import { type Encoder, openEncoder } from "../../src/encoder/index.js";
import { prepareUseLite } from "../../src/encoder/use-lite/prepare.js";
import { decodeModel } from "../../src/onnx/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { cosine, loadGolden, noGolden } from "./support/test-data.js";

const PREPARE = fileURLToPath(new URL("./support/prepare-process.js", import.meta.url));

describe("use-lite", () => {
  let encoder: Encoder;
  before(async () => {
    encoder = await openEncoder("use-lite", { provider: "cpu" });
  });
  after(() => encoder.close());

  const row = (vectors: Float32Array, at: number) => vectors.subarray(at * 512, (at + 1) * 512);

  it("embeds single texts as the reference implementation does", { skip: noGolden }, async () => {
    for (const { text, embedding } of loadGolden().items) {
      const { vectors } = await encoder.encode([text]);
      assert.ok(cosine(vectors, embedding) >= 0.99999, text);
    }
  });

  it("embeds a batch of mixed lengths as the reference implementation does", { skip: noGolden }, async () => {
    const { items } = loadGolden();
    const { vectors, truncated } = await encoder.encode(items.map(({ text }) => text));
    for (const [at, { text, embedding }] of items.entries()) {
      assert.ok(cosine(row(vectors, at), embedding) >= 0.99999, text);
    }
    assert.equal(truncated, items.filter(({ tokenIds }) => tokenIds.length > 128).length);
  });

  it("states its size, its limit and its identity", () => {
    assert.equal(encoder.id, "use-lite");
    assert.equal(encoder.dimensions, 512);
    assert.equal(encoder.maxTokens, 128);
    assert.equal(encoder.provider, "cpu");
    const { weights, tokenizer, ...rest } = encoder.identity;
    assert.match(weights, /^[0-9a-f]{64}$/);
    assert.match(tokenizer!, /^[0-9a-f]{64}$/);
    assert.deepEqual(rest, { pooling: "model", normalize: true, maxTokens: 128, dimensions: 512 });
  });

  it("gives embeddings of length 1", async () => {
    const { vectors } = await encoder.encode(["a", "東", " ", "where is my card"]);
    for (let at = 0; at < 4; at++) assert.ok(Math.abs(Math.hypot(...row(vectors, at)) - 1) < 1e-6);
  });

  it("counts the texts it cuts, and looks at the first 128 tokens alone", async () => {
    const start = "a ".repeat(128).trim();
    const { vectors, truncated } = await encoder.encode([start, `${start} zebra`, "short"]);
    assert.equal(truncated, 1);
    assert.ok(cosine(row(vectors, 0), row(vectors, 1)) > 0.9999999);
  });
});

describe("the cached model of use-lite", () => {
  it("is an ONNX file with the checksum that is given, and is built once", async (t) => {
    const cacheDirectory = temporaryDirectory(t);
    const steps: number[] = [];
    const first = await prepareUseLite({ cacheDirectory, onProgress: ({ done }) => steps.push(done) });
    assert.deepEqual(steps, [0, 1, 2]);
    const bytes = readFileSync(first.path);
    assert.equal(sha256(bytes), first.checksum);
    assert.deepEqual(
      decodeModel(bytes).graph?.input?.map(({ name }) => name),
      ["input_ids", "attention_mask"],
    );
    steps.length = 0;
    assert.deepEqual(await prepareUseLite({ cacheDirectory, onProgress: ({ done }) => steps.push(done) }), first);
    assert.deepEqual(steps, [], "the second time nothing is built");
  });

  it("is built again when it is damaged, cut short, or has lost its checksum", async (t) => {
    const cacheDirectory = temporaryDirectory(t);
    const { path, checksum } = await prepareUseLite({ cacheDirectory });
    const whole = readFileSync(path);
    const damages: (() => void)[] = [
      () => truncateSync(path, 1_000_000),
      () =>
        writeFileSync(
          path,
          whole.map((byte, at) => (at === 5_000_000 ? byte ^ 1 : byte)),
        ),
      () => writeFileSync(`${path}.sha256`, "stale\n"),
    ];
    for (const damage of damages) {
      damage();
      assert.deepEqual(await prepareUseLite({ cacheDirectory }), { path, checksum });
      assert.equal(sha256(readFileSync(path)), checksum);
    }
  });

  it("may be prepared by two processes at once", async (t) => {
    const cacheDirectory = temporaryDirectory(t);
    const run = async () => {
      const child = spawn(process.execPath, [PREPARE, cacheDirectory], { stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (chunk) => {
        output += chunk;
      });
      const [code] = await once(child, "close");
      assert.equal(code, 0);
      return JSON.parse(output) as { path: string; checksum: string };
    };
    const [one, other] = await Promise.all([run(), run()]);
    assert.deepEqual(one, other);
    assert.equal(sha256(readFileSync(one.path)), one.checksum);
    assert.equal(readdirSync(dirname(one.path)).length, 2, "the model and its checksum, no temporary file");
    assert.equal(dirname(one.path), join(cacheDirectory, "use-lite"));
  });

  it("stops when asked to", async (t) => {
    const cacheDirectory = temporaryDirectory(t);
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(prepareUseLite({ cacheDirectory, signal }), /enough/);
  });
});
