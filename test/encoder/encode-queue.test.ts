import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EncoderInput, PreparedInput } from "../../src/encoder/index.js";
import { type BatchModel, type BatchModels, EncodeQueue } from "../../src/encoder/worker/encode-queue.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

/** One token for each letter; a text over 50 letters is cut. */
const tokenize = (text: string) => ({
  ids: text === "" ? [0] : [...text].slice(0, 50).map((letter) => letter.charCodeAt(0)),
  truncated: text.length > 50,
});

/** "Embeds" a row as its number of tokens and their sum, and keeps the batches it was given. */
class CountingModel implements BatchModel {
  readonly dimensions = 2;
  readonly batches: (readonly number[])[][] = [];

  constructor(
    readonly equalLengths = false,
    private readonly msPerToken = 0,
  ) {}

  prepare(input: EncoderInput): PreparedInput {
    return { kind: "tokens", ...tokenize(String(input)) };
  }

  async embed(batch: readonly PreparedInput[]): Promise<Float32Array> {
    const rows = batch.map((input) => (input.kind === "tokens" ? input.ids : []));
    this.batches.push(rows);
    const padded = rows.length * Math.max(...rows.map((row) => row.length));
    if (this.msPerToken > 0) await sleep(padded * this.msPerToken);
    if (rows.some((row) => row.includes("💥".charCodeAt(0)))) throw new Error("the model failed");
    return Float32Array.from(rows.flatMap((row) => [row.length, row.reduce((sum, id) => sum + id, 0)]));
  }
}

interface Outcome {
  id: number;
  vectors?: Float32Array;
  truncated?: number;
  tokens?: number;
  error?: unknown;
}

function start(models: BatchModels) {
  const outcomes: Outcome[] = [];
  const queue = new EncodeQueue(models, {
    onEncoded: (id, vectors, counts) => outcomes.push({ id, vectors, ...counts }),
    onFailed: (id, error) => outcomes.push({ id, error }),
  });
  const settled = async (count: number) => {
    while (outcomes.length < count) await sleep(1);
    return outcomes;
  };
  return { queue, outcomes, settled };
}

const expectedOf = (texts: readonly string[]) =>
  texts.flatMap((text) => {
    const { ids } = tokenize(text);
    return [ids.length, ids.reduce((sum, id) => sum + id, 0)];
  });

describe("the encode queue", () => {
  for (const equalLengths of [false, true]) {
    it(`gives every request its own rows, in order${equalLengths ? ", for a model without a mask" : ""}`, async () => {
      const random = new Random(seedOf("encode queue", 5));
      const model = new CountingModel(equalLengths);
      const { queue, settled } = start({ text: model });
      const text = () => "abcdefgh".slice(random.integer(8)).repeat(random.integer(9));
      const requests = Array.from({ length: 60 }, () => Array.from({ length: 1 + random.integer(30) }, text));
      for (const [id, texts] of requests.entries()) {
        queue.add({ id, inputs: texts, priority: random.integer(2) === 0 ? "query" : "bulk" });
        if (random.integer(10) === 0) await sleep(1);
      }
      for (const { id, vectors, truncated, tokens } of await settled(requests.length)) {
        assert.deepEqual([...vectors!], expectedOf(requests[id]!));
        assert.equal(truncated, requests[id]!.filter((each) => each.length > 50).length);
        assert.equal(
          tokens,
          requests[id]!.reduce((sum, each) => sum + tokenize(each).ids.length, 0),
        );
      }
      assert.ok(model.batches.length < requests.flat().length, "texts are merged into batches");
      if (!equalLengths) return;
      for (const batch of model.batches) assert.ok(batch.every((row) => row.length === batch[0]!.length));
    });
  }

  it("merges requests of one text each into one batch, and pads little", async () => {
    const model = new CountingModel();
    const { queue, settled } = start({ text: model });
    for (let id = 0; id < 40; id++) queue.add({ id, inputs: ["x".repeat(1 + (id % 8))], priority: "bulk" });
    await settled(40);
    assert.ok(model.batches.length <= 2, `${model.batches.length} batches`);
    for (const batch of model.batches) {
      const lengths = batch.map((row) => row.length);
      assert.deepEqual(
        lengths,
        lengths.toSorted((a, b) => a - b),
        "texts of like length lie together",
      );
    }
  });

  it("cuts bulk into runs near the target time, and lets a query go before what is left", async () => {
    const model = new CountingModel(false, 0.5);
    const { queue, settled, outcomes } = start({ text: model });
    queue.add({ id: 1, inputs: Array.from({ length: 200 }, () => "abcde"), priority: "bulk" });
    while (model.batches.length < 6) await sleep(1);
    const ranBefore = model.batches.length;
    queue.add({ id: 2, inputs: ["q"], priority: "query" });
    await settled(1);
    assert.equal(outcomes[0]!.id, 2, "the query is answered first");
    const queryRun = model.batches.findIndex((batch) => batch.some((row) => row.length === 1));
    assert.equal(queryRun, ranBefore, "it waited for the running batch alone");
    await settled(2);
    // 35 ms at half a millisecond a token are 70 tokens, 14 texts; timers are late, so runs get shorter, not longer.
    for (const batch of model.batches.slice(10)) assert.ok(batch.length <= 15, `${batch.length} texts in a run`);
  });

  it("drops a cancelled request and goes on with the others", async () => {
    const model = new CountingModel(false, 0.2);
    const { queue, settled, outcomes } = start({ text: model });
    queue.add({ id: 1, inputs: Array.from({ length: 300 }, () => "abcde"), priority: "bulk" });
    queue.add({ id: 2, inputs: ["other"], priority: "bulk" });
    await sleep(5);
    queue.cancel(1);
    await settled(1);
    assert.deepEqual(
      outcomes.map(({ id }) => id),
      [2],
    );
    assert.ok(model.batches.flat().length < 301, "the rest of the cancelled texts was not embedded");
  });

  it("tells the requests of a batch on which the model fails, and lives", async () => {
    const { queue, settled, outcomes } = start({ text: new CountingModel() });
    queue.add({ id: 1, inputs: ["fine", "💥"], priority: "bulk" });
    await settled(1);
    assert.match(String(outcomes[0]!.error), /the model failed/);
    queue.add({ id: 2, inputs: ["fine"], priority: "bulk" });
    await settled(2);
    assert.deepEqual([...outcomes[1]!.vectors!], expectedOf(["fine"]));
  });

  it("waits for the running batch when drained, and names what it drops", async () => {
    const model = new CountingModel(false, 1);
    const { queue, outcomes } = start({ text: model });
    queue.add({ id: 7, inputs: Array.from({ length: 100 }, () => "abcde"), priority: "bulk" });
    queue.add({ id: 8, inputs: ["q"], priority: "query" });
    await sleep(5);
    assert.deepEqual(await queue.drain(), outcomes.length === 0 ? [7, 8] : [7]);
    const { length } = model.batches;
    await sleep(20);
    assert.equal(model.batches.length, length, "nothing runs any more");
  });
});

/** Images of one byte, which are "decoded" in so many milliseconds and "embedded" as that byte; 255 cannot be decoded. */
class ImageModel implements BatchModel {
  readonly dimensions = 2;
  readonly equalLengths = false;
  readonly batches: number[][] = [];
  decoding = 0;
  mostDecoding = 0;

  constructor(
    private readonly decodeMs = 1,
    private readonly embedMs = 0,
  ) {}

  async prepare(input: EncoderInput): Promise<PreparedInput> {
    this.mostDecoding = Math.max(this.mostDecoding, ++this.decoding);
    await sleep(this.decodeMs);
    this.decoding -= 1;
    const data = Uint8Array.from(input as Uint8Array);
    if (data[0] === 255) throw new Error("not an image");
    return { kind: "pixels", pixels: { width: 1, height: 1, data } };
  }

  async embed(batch: readonly PreparedInput[]): Promise<Float32Array> {
    const bytes = batch.map((input) => (input.kind === "pixels" ? input.pixels.data[0]! : 0));
    this.batches.push(bytes);
    if (this.embedMs > 0) await sleep(this.embedMs * batch.length);
    return Float32Array.from(bytes.flatMap((byte) => [byte, -byte]));
  }
}

describe("the encode queue of an image model", () => {
  const image = (byte: number) => Uint8Array.of(byte);
  const images = (count: number, byte = 1) => Array.from({ length: count }, () => image(byte));

  it("gives every request its own rows, texts and images mixed", async () => {
    const random = new Random(seedOf("encode queue", 5));
    const [text, pictures] = [new CountingModel(), new ImageModel()];
    const { queue, settled } = start({ text, image: pictures });
    const one = () => (random.integer(2) === 0 ? "abcdefgh".slice(random.integer(8)) : image(random.integer(200)));
    const requests = Array.from({ length: 40 }, () => Array.from({ length: 1 + random.integer(9) }, one));
    for (const [id, inputs] of requests.entries()) {
      queue.add({ id, inputs, priority: random.integer(2) === 0 ? "query" : "bulk" });
    }
    for (const { id, vectors } of await settled(requests.length)) {
      const expected = requests[id]!.flatMap((input) =>
        typeof input === "string" ? expectedOf([input]) : [input[0]!, -input[0]!],
      );
      assert.deepEqual([...vectors!], expected);
    }
    assert.ok(pictures.batches.length < requests.flat().length / 2, "images are merged into batches");
  });

  it("decodes a few images side by side, never many", async () => {
    const model = new ImageModel();
    const { queue, settled } = start({ image: model });
    for (let id = 0; id < 20; id++) queue.add({ id, inputs: images(5), priority: "bulk" });
    await settled(20);
    assert.equal(model.mostDecoding, 2);
  });

  it("refuses only the request whose image cannot be decoded", async () => {
    const { queue, settled } = start({ image: new ImageModel() });
    for (let id = 0; id < 6; id++) queue.add({ id, inputs: [image(1), image(id === 3 ? 255 : 2)], priority: "bulk" });
    const outcomes = await settled(6);
    for (const { id, vectors, error } of outcomes) {
      if (id === 3) assert.match(String(error), /not an image/);
      else assert.deepEqual([...vectors!], [1, -1, 2, -2]);
    }
  });

  it("lets a query go before the bulk that is being decoded", async () => {
    const model = new ImageModel(5);
    const { queue, settled, outcomes } = start({ text: new CountingModel(), image: model });
    queue.add({ id: 1, inputs: images(60), priority: "bulk" });
    await sleep(20);
    queue.add({ id: 2, inputs: images(1), priority: "query" });
    queue.add({ id: 3, inputs: ["q"], priority: "query" });
    await settled(2);
    assert.deepEqual(new Set(outcomes.map(({ id }) => id)), new Set([2, 3]));
    queue.cancel(1);
    await queue.drain();
  });

  it("serves both texts and images while more of the other keep coming", async () => {
    const [text, pictures] = [new CountingModel(false, 0.1), new ImageModel(0, 1)];
    const { queue, outcomes, settled } = start({ text, image: pictures });
    let id = 10;
    const more = () => {
      queue.add({ id: id++, inputs: ["abcde", "abc"], priority: "bulk" });
      queue.add({ id: id++, inputs: images(2), priority: "bulk" });
    };
    const timer = setInterval(more, 1);
    queue.add({ id: 1, inputs: images(3), priority: "bulk" });
    queue.add({ id: 2, inputs: ["a text"], priority: "bulk" });
    await settled(20);
    clearInterval(timer);
    assert.ok(outcomes.some((outcome) => outcome.id === 1) && outcomes.some((outcome) => outcome.id === 2));
    await queue.drain();
  });

  it("goes on with texts when all images that are ready were dropped", async () => {
    const text = new CountingModel(false, 0.1);
    const { queue, settled } = start({ text, image: new ImageModel(1) });
    queue.add({ id: 1, inputs: images(4), priority: "bulk" });
    queue.add({ id: 2, inputs: Array.from({ length: 300 }, () => "abcde"), priority: "bulk" });
    // The images are decoded while the first texts run, and it is their turn next.
    while (text.batches.length === 0) await sleep(1);
    queue.cancel(1);
    const [outcome] = await settled(1);
    assert.equal(outcome!.id, 2);
  });

  it("drops a cancelled request while its images are decoded, and drains", async () => {
    const model = new ImageModel(5);
    const { queue, settled, outcomes } = start({ image: model });
    queue.add({ id: 1, inputs: images(50), priority: "bulk" });
    queue.add({ id: 2, inputs: images(1, 7), priority: "bulk" });
    await sleep(2);
    queue.cancel(1);
    await settled(1);
    assert.deepEqual([...outcomes[0]!.vectors!], [7, -7]);
    assert.ok(model.batches.flat().length <= 1, "nothing of the cancelled request is embedded");
    queue.add({ id: 3, inputs: images(50), priority: "bulk" });
    await sleep(2);
    assert.deepEqual(await queue.drain(), [3]);
    assert.equal(model.decoding, 0);
  });
});
