import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { type Encoder, type OpenEncoderOptions, openEncoder } from "../../src/encoder/index.js";
import type { ImagePixels } from "../../src/image/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { bertTokenizer, tinyModel, VOCABULARY, writeEncoder } from "./support/tiny-encoder.js";
import {
  pngOf,
  randomImage,
  SIDE,
  type TinyImageModel,
  type TinyImageModelOptions,
  tinyImageModel,
} from "./support/tiny-image-encoder.js";

type Files = Record<string, string | Uint8Array | object>;

const MEAN = [0.1, 0.2, 0.3];
const STD = [0.5, 0.6, 0.7];
const PROCESSOR = {
  image_processor_type: "ViTImageProcessor",
  size: { height: SIDE, width: SIDE },
  image_mean: MEAN,
  image_std: STD,
};
const random = new Random(seedOf("image encoders", 4));
const IMAGES = Array.from({ length: 5 }, () => randomImage(random));

async function open(t: TestContext, files: Files, options: OpenEncoderOptions = {}): Promise<Encoder> {
  const directory = temporaryDirectory(t);
  writeEncoder(directory, { "preprocessor_config.json": PROCESSOR, ...files });
  const encoder = await openEncoder(`file:${directory}`, { provider: "cpu", threads: 1, ...options });
  t.after(() => encoder.close());
  return encoder;
}

/** The normalised numbers of each channel. */
function channelsOf(image: ImagePixels): number[][] {
  return MEAN.map((mean, channel) =>
    Array.from({ length: SIDE * SIDE }, (_, at) => (image.data[at * 3 + channel]! / 255 - mean) / STD[channel]!),
  );
}

function scaled(row: number[]): number[] {
  const length = Math.hypot(...row);
  return row.map((value) => value / length);
}

const patches = ({ patch }: TinyImageModel, image: ImagePixels) => channelsOf(image).map(patch);
const sum = (rows: number[][]) => rows[0]!.map((_, at) => rows.reduce((total, row) => total + row[at]!, 0));
const average = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0) / numbers.length;

function assertRows(vectors: Float32Array, rows: number[][]): void {
  assert.equal(vectors.length, rows.flat().length);
  for (const [at, value] of rows.flat().entries()) {
    assert.ok(Math.abs(vectors[at]! - value) < 1e-5, `number ${at}: ${vectors[at]}, expected ${value}`);
  }
}

type Embedding = (model: TinyImageModel, image: ImagePixels) => number[];
const embedding: Embedding = (model, image) => scaled(sum(patches(model, image)));
const classToken: Embedding = (model, image) => scaled(patches(model, image)[0]!);
const meanOfPatches: Embedding = (model, image) => scaled(sum(patches(model, image)));
const meanOfChannels: Embedding = (_model, image) => scaled(channelsOf(image).map(average));

interface Kind {
  what: string;
  model: TinyImageModelOptions;
  files?: Files;
  path?: string;
  expected: Embedding;
  pooling: string;
}

const KINDS: Kind[] = [
  { what: "a CLIP vision tower", model: {}, path: "onnx/vision_model.onnx", expected: embedding, pooling: "model" },
  {
    what: "a DINOv2: its pooler, before the patches",
    model: { outputs: { last_hidden_state: "patches", pooler_output: "embedding" } },
    files: { "config.json": { model_type: "dinov2" } },
    path: "onnx/model.onnx",
    expected: embedding,
    pooling: "model",
  },
  {
    what: "a ViT: its class token, not a pooler that may be untrained",
    model: { outputs: { last_hidden_state: "patches", pooler_output: "embedding" } },
    files: { "config.json": { model_type: "vit" } },
    expected: classToken,
    pooling: "cls",
  },
  {
    what: "a Swin transformer: the mean of its patches",
    model: { outputs: { last_hidden_state: "patches" } },
    files: { "config.json": { model_type: "swin" } },
    expected: meanOfPatches,
    pooling: "mean",
  },
  {
    what: "patches whose pooling is stated",
    model: { outputs: { last_hidden_state: "patches" } },
    files: { "1_Pooling/config.json": { pooling_mode_mean_tokens: true } },
    expected: meanOfPatches,
    pooling: "mean",
  },
  {
    what: "a ResNet: its pooler of one place for each channel",
    model: { outputs: { last_hidden_state: "planes", pooler_output: "plane" } },
    files: { "config.json": { model_type: "resnet" } },
    expected: meanOfChannels,
    pooling: "mean",
  },
  {
    what: "a MobileNet without a pooler",
    model: { outputs: { last_hidden_state: "planes" } },
    expected: meanOfChannels,
    pooling: "mean",
  },
  {
    what: "an export of timm, with names of its own",
    model: { input: "input0", outputs: { output0: "embedding" } },
    files: {
      "preprocessor_config.json": "",
      "config.json": {
        pretrained_cfg: { input_size: [3, SIDE, SIDE], crop_pct: 1, interpolation: "bicubic", mean: MEAN, std: STD },
      },
    },
    expected: embedding,
    pooling: "model",
  },
];

describe("an image encoder in a directory", () => {
  for (const { what, model: options, files, path = "model.onnx", expected, pooling } of KINDS) {
    it(`gives the embeddings of ${what}, of length 1`, async (t) => {
      const model = tinyImageModel(options);
      const { "preprocessor_config.json": processor = PROCESSOR, ...others } = files ?? {};
      const directory = temporaryDirectory(t);
      writeEncoder(directory, { [path]: model.bytes, ...others });
      if (processor !== "") writeEncoder(directory, { "preprocessor_config.json": processor });
      const encoder = await openEncoder(`file:${directory}`, { provider: "cpu", threads: 1 });
      t.after(() => encoder.close());
      const { vectors, tokens, truncated } = await encoder.encode(await Promise.all(IMAGES.map(pngOf)));
      assertRows(
        vectors,
        IMAGES.map((image) => expected(model, image)),
      );
      assert.deepEqual([tokens, truncated], [0, 0]);
      assert.deepEqual([encoder.modality, encoder.accepts], ["image", { text: false, image: true }]);
      assert.deepEqual([encoder.identity.pooling, encoder.identity.normalize, encoder.maxTokens], [pooling, true, 0]);
    });
  }

  it("has another identity when the weights or the preprocessing change", async (t) => {
    const files = { "model.onnx": tinyImageModel().bytes };
    const { identity } = await open(t, files);
    // Another way to write the same.
    const same = { ...PROCESSOR, do_resize: true, rescale_factor: 1 / 255, size: SIDE };
    assert.deepEqual((await open(t, { ...files, "preprocessor_config.json": same })).identity, identity);
    const weights = (await open(t, { "model.onnx": tinyImageModel({ seed: 6 }).bytes })).identity;
    assert.notEqual(weights.weights, identity.weights);
    for (const change of [{ resample: 3 }, { image_mean: [0.1, 0.2, 0.4] }]) {
      const other = (await open(t, { ...files, "preprocessor_config.json": { ...PROCESSOR, ...change } })).identity;
      assert.notEqual(other.preprocessing, identity.preprocessing);
      assert.equal(other.weights, identity.weights);
    }
  });

  it("runs a tuned copy of the model in its place, and tells by the identity", async (t) => {
    const directory = temporaryDirectory(t);
    const tuned = tinyImageModel({ seed: 9 });
    writeEncoder(directory, { "tuned.onnx": tuned.bytes });
    const files = { "model.onnx": tinyImageModel().bytes };
    const [base, encoder] = [await open(t, files), await open(t, files, { model: `${directory}/tuned.onnx` })];
    assertRows((await encoder.encode([await pngOf(IMAGES[0]!)])).vectors, [embedding(tuned, IMAGES[0]!)]);
    assert.deepEqual({ ...encoder.identity, weights: base.identity.weights }, base.identity);
    assert.notEqual(encoder.identity.weights, base.identity.weights);
    await assert.rejects(open(t, files, { model: `${directory}/none.onnx` }), { code: "invalid_encoder" });
  });

  it("decodes no image above its limit", async (t) => {
    const encoder = await open(t, { "model.onnx": tinyImageModel().bytes }, { maxPixels: 100 });
    await encoder.encode([await pngOf(randomImage(random, 10, 10))]);
    await assert.rejects(encoder.encode([await pngOf(randomImage(random, 10, 11))]), { code: "image_too_large" });
  });

  const refused: [string, Files, RegExp][] = [
    [
      "is a classifier",
      { "model.onnx": tinyImageModel({ outputs: { logits: "embedding" } }).bytes },
      /classification head/,
    ],
    ["has a second input", { "model.onnx": tinyImageModel({ extraInput: "boxes" }).bytes }, /boxes/],
    ["gives no float32", { "model.onnx": tinyImageModel({ dtype: "float64" }).bytes }, /float64/],
    [
      "reads another size",
      { "model.onnx": tinyImageModel().bytes, "preprocessor_config.json": { ...PROCESSOR, size: 5 } },
      /cannot be used/,
    ],
    ["has no preprocessing", { "vision_model.onnx": tinyImageModel().bytes, "preprocessor_config.json": "" }, /JSON/],
  ];
  for (const [what, files, message] of refused) {
    it(`is refused when it ${what}`, async (t) => {
      await assert.rejects(open(t, files), { code: "invalid_encoder", message });
    });
  }

  it("is refused without any file that says how images are prepared", async (t) => {
    const directory = temporaryDirectory(t);
    writeEncoder(directory, { "model.onnx": tinyImageModel().bytes, "config.json": { model_type: "vit" } });
    const message = /tokenizer\.json.*preprocessor_config\.json/;
    await assert.rejects(openEncoder(`file:${directory}`), { code: "invalid_encoder", message });
  });
});

describe("patch-cnn", () => {
  it("is built in, and reads images of any size", async (t) => {
    const encoder = await openEncoder("patch-cnn", { provider: "cpu", threads: 1 });
    t.after(() => encoder.close());
    assert.deepEqual([encoder.id, encoder.modality, encoder.accepts.text], ["patch-cnn", "image", false]);
    const files = await Promise.all([randomImage(random, 7, 90), randomImage(random, 300, 301)].map(pngOf));
    const { vectors } = await encoder.encode([...files, ...files]);
    const row = (at: number) => vectors.subarray(at * encoder.dimensions, (at + 1) * encoder.dimensions);
    for (const at of [0, 1]) {
      assert.ok(Math.abs(Math.hypot(...row(at)) - 1) < 1e-5);
      for (const [place, value] of row(at).entries()) assert.ok(Math.abs(value - row(at + 2)[place]!) < 1e-5);
    }
    await assert.rejects(encoder.encode(["a text"]), { code: "wrong_modality" });
  });
});

describe("an image encoder in its worker thread", () => {
  it("refuses texts, as a text encoder refuses images", async (t) => {
    const images = await open(t, { "model.onnx": tinyImageModel().bytes });
    await assert.rejects(images.encode(["a text"]), { code: "wrong_modality", message: /CLIP pair/ });
    const texts = await openEncoder("use-lite", { provider: "cpu" });
    t.after(() => texts.close());
    assert.deepEqual(texts.accepts, { text: true, image: false });
    await assert.rejects(texts.encode(["a text", await pngOf(IMAGES[0]!)]), { code: "wrong_modality" });
  });

  it("fails only the call whose image is broken", async (t) => {
    const model = tinyImageModel();
    const encoder = await open(t, { "model.onnx": model.bytes });
    const good = await Promise.all(IMAGES.map(pngOf));
    const broken = good[0]!.slice(0, 50);
    const calls = good.map((image, at) => encoder.encode(at === 2 ? [image, broken] : [image]));
    const results = await Promise.allSettled(calls);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"],
    );
    await assert.rejects(calls[2]!, { code: "invalid_image" });
    assertRows((await calls[4]!).vectors, [embedding(model, IMAGES[4]!)]);
  });

  it("leaves the caller's bytes alone, also where they are part of a larger buffer", async (t) => {
    const model = tinyImageModel();
    const encoder = await open(t, { "model.onnx": model.bytes });
    const file = await pngOf(IMAGES[1]!);
    const body = Buffer.concat([Buffer.alloc(100), file, Buffer.alloc(50)]);
    const part = body.subarray(100, 100 + file.length);
    for (let round = 0; round < 2; round++) {
      assertRows((await encoder.encode([part])).vectors, [embedding(model, IMAGES[1]!)]);
    }
    assert.deepEqual(part, file);
  });

  it("answers a query before the bulk that was there first, and gives up what is aborted", async (t) => {
    const encoder = await open(t, { "model.onnx": tinyImageModel().bytes });
    const large = await pngOf(randomImage(random, 1_000, 700));
    const order: string[] = [];
    const bulk = encoder.encode(Array.from({ length: 40 }, () => large)).then(() => order.push("bulk"));
    // At once: to copy more images takes as long as the thread takes for half of the bulk.
    const query = encoder.encode([large], { priority: "query" }).then(() => order.push("query"));
    const controller = new AbortController();
    const aborted = encoder.encode(
      Array.from({ length: 20 }, () => large),
      { signal: controller.signal },
    );
    controller.abort(new Error("changed my mind"));
    await assert.rejects(aborted, /changed my mind/);
    await Promise.all([bulk, query]);
    assert.deepEqual(order, ["query", "bulk"]);
  });

  it("refuses what waits when it is closed", async (t) => {
    const encoder = await open(t, { "model.onnx": tinyImageModel().bytes });
    const large = await pngOf(randomImage(random, 1_000, 700));
    const waiting = assert.rejects(encoder.encode(Array.from({ length: 60 }, () => large)), { code: "shutting_down" });
    await encoder.close();
    await waiting;
  });
});

describe("a pair of a text and an image model", () => {
  const CLIP = {
    "tokenizer.json": bertTokenizer(),
    "tokenizer_config.json": { model_max_length: 9 },
    "config.json": { model_type: "clip", text_config: { max_position_embeddings: 7 } },
  };
  const texts = tinyModel({ output: "text_embeds" });
  const images = tinyImageModel();
  const towers = { "onnx/text_model.onnx": texts.bytes, "onnx/vision_model.onnx": images.bytes };
  const ids = ["[CLS]", "my", "card", "[SEP]"].map((piece) => VOCABULARY.indexOf(piece));
  const textRow = scaled(texts.tokenEmbedding(ids[0]!, 0));

  it("embeds texts and images of one call into one space", async (t) => {
    const encoder = await open(t, { ...CLIP, ...towers, "onnx/model.onnx": "the combined model is not read" });
    const [first, second] = [await pngOf(IMAGES[0]!), await pngOf(IMAGES[1]!)];
    const { vectors, tokens } = await encoder.encode([first, "my card", second]);
    assertRows(vectors, [embedding(images, IMAGES[0]!), textRow, embedding(images, IMAGES[1]!)]);
    assert.equal(tokens, 4);
    assert.deepEqual([encoder.modality, encoder.accepts], ["image", { text: true, image: true }]);
    assert.equal(encoder.maxTokens, 7);
    assertRows((await encoder.encode(["my card"], { priority: "query" })).vectors, [textRow]);
  });

  it("has an identity of both models, the tokenizer and the preprocessing", async (t) => {
    const { identity } = await open(t, { ...CLIP, ...towers });
    const changes: [keyof typeof identity, Files][] = [
      ["textWeights", { "onnx/text_model.onnx": tinyModel({ output: "text_embeds", seed: 3 }).bytes }],
      ["weights", { "onnx/vision_model.onnx": tinyImageModel({ seed: 3 }).bytes }],
      ["tokenizer", { "tokenizer_config.json": { model_max_length: 10 } }],
      ["preprocessing", { "preprocessor_config.json": { ...PROCESSOR, resample: 3 } }],
    ];
    for (const [field, changed] of changes) {
      const other = (await open(t, { ...CLIP, ...towers, ...changed })).identity;
      const differing = Object.keys(identity).filter(
        (key) => other[key as typeof field] !== identity[key as typeof field],
      );
      assert.deepEqual(differing, [field]);
    }
  });

  it("pads texts of SigLIP to the maximum, as it was trained", async (t) => {
    // The mean over all places shows the padding: a plain encoder would take the mean of 4 tokens.
    const siglip = { ...CLIP, "config.json": { model_type: "siglip", text_config: { max_position_embeddings: 7 } } };
    const model = tinyModel({ inputs: ["input_ids"], output: "pooler_output", pooled: "all" });
    const vision = tinyImageModel({ outputs: { pooler_output: "embedding" } });
    const encoder = await open(t, { ...siglip, "text_model.onnx": model.bytes, "vision_model.onnx": vision.bytes });
    const padded = [...ids, 0, 0, 0].map((id, at) => model.tokenEmbedding(id, at));
    assertRows((await encoder.encode(["my card", await pngOf(IMAGES[0]!)])).vectors, [
      scaled(sum(padded)),
      embedding(vision, IMAGES[0]!),
    ]);
  });

  const refused: [string, Files, RegExp][] = [
    ["without a tokenizer", towers, /tokenizer\.json/],
    [
      "whose models give different dimensions",
      { ...CLIP, ...towers, "onnx/vision_model.onnx": tinyImageModel({ outputs: { image_embeds: "plane" } }).bytes },
      /one space/,
    ],
    [
      "whose towers were exported without their projections",
      { ...CLIP, ...towers, "onnx/text_model.onnx": tinyModel().bytes },
      /text_embeds/,
    ],
    ["in one model", { ...CLIP, "onnx/model.onnx": "both" }, /text_model\.onnx and onnx\/vision_model\.onnx/],
  ];
  for (const [what, files, message] of refused) {
    it(`is refused ${what}`, async (t) => {
      await assert.rejects(open(t, files), { code: "invalid_encoder", message });
    });
  }
});
