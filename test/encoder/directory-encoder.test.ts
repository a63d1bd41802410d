import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { type Encoder, openEncoder } from "../../src/encoder/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import {
  bertTokenizer,
  CLS,
  SEP,
  TINY_DIMENSIONS,
  type TinyModel,
  type TinyModelOptions,
  tinyModel,
  VOCABULARY,
  writeEncoder,
} from "./support/tiny-encoder.js";

type Files = Record<string, string | Uint8Array | object>;

const TEXTS = ["my card", "hello", "where is the lost payment", "my cards"];
const IDS = [
  ["[CLS]", "my", "card", "[SEP]"],
  ["[CLS]", "hello", "[SEP]"],
  ["[CLS]", "where", "is", "the", "lost", "pay", "##ment", "[SEP]"],
  ["[CLS]", "my", "card", "##s", "[SEP]"],
].map((row) => row.map((piece) => VOCABULARY.indexOf(piece)));

const POOLINGS: Record<string, (tokens: number[][], at: number) => number> = {
  mean: (tokens, at) => tokens.reduce((sum, token) => sum + token[at]!, 0) / tokens.length,
  cls: (tokens, at) => tokens[0]![at]!,
  lasttoken: (tokens, at) => tokens[tokens.length - 1]![at]!,
  max: (tokens, at) => Math.max(...tokens.map((token) => token[at]!)),
};

function poolingConfig(mode: string): object {
  const flags = ["cls_token", "mean_tokens", "max_tokens", "lasttoken", "mean_sqrt_len_tokens"];
  const asked = { mean: "mean_tokens", cls: "cls_token", max: "max_tokens" }[mode] ?? mode;
  return {
    word_embedding_dimension: TINY_DIMENSIONS,
    ...Object.fromEntries(flags.map((flag) => [`pooling_mode_${flag}`, flag === asked])),
  };
}

function modules(...kinds: string[]): object[] {
  return kinds.map((kind, idx) => ({
    idx,
    name: String(idx),
    path: kind === "Transformer" ? "" : `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));
}

function write(t: TestContext, files: Files): string {
  const directory = temporaryDirectory(t);
  writeEncoder(directory, { "tokenizer.json": bertTokenizer(), ...files });
  return directory;
}

async function open(t: TestContext, files: Files): Promise<Encoder> {
  const encoder = await openEncoder(`file:${write(t, files)}`, { provider: "cpu", threads: 1 });
  t.after(() => encoder.close());
  return encoder;
}

/** Naive pooling of one text's token embeddings. */
function expected({ tokenEmbedding }: TinyModel, ids: number[], pooling: string, normalize: boolean): number[] {
  const tokens = ids.map((id, position) => tokenEmbedding(id, position));
  const row = Array.from({ length: TINY_DIMENSIONS }, (_, at) => POOLINGS[pooling]!(tokens, at));
  const length = normalize ? Math.hypot(...row) : 1;
  return row.map((value) => value / length);
}

function assertRows(vectors: Float32Array, rows: number[][]): void {
  assert.equal(vectors.length, rows.length * TINY_DIMENSIONS);
  for (const [at, value] of rows.flat().entries()) assert.ok(Math.abs(vectors[at]! - value) < 1e-5, `number ${at}`);
}

describe("an encoder in a directory", () => {
  for (const pooling of Object.keys(POOLINGS)) {
    for (const normalize of [false, true]) {
      it(`pools by ${pooling}${normalize ? " and normalises" : ""} in a batch of mixed lengths`, async (t) => {
        const model = tinyModel();
        const encoder = await open(t, {
          "model.onnx": model.bytes,
          "modules.json": modules("Transformer", "Pooling", ...(normalize ? ["Normalize"] : [])),
          "1_Pooling/config.json": poolingConfig(pooling),
        });
        const { vectors, truncated } = await encoder.encode(TEXTS);
        assertRows(
          vectors,
          IDS.map((ids) => expected(model, ids, pooling, normalize)),
        );
        assert.equal(truncated, 0);
        assert.equal(encoder.identity.pooling, pooling === "lasttoken" ? "last" : pooling);
        assert.equal(encoder.identity.normalize, normalize);
      });
    }
  }

  const variants: [string, TinyModelOptions][] = [
    ["token_embeddings", { output: "token_embeddings" }],
    [
      "every input that encoders declare",
      { inputs: ["input_ids", "attention_mask", "token_type_ids", "position_ids"] },
    ],
    ["no padding mask", { inputs: ["input_ids"] }],
    ["one output of an unknown name", { output: "logits" }],
  ];
  for (const [what, options] of variants) {
    it(`takes the mean of the tokens by default, with ${what}`, async (t) => {
      const model = tinyModel(options);
      const encoder = await open(t, { "onnx/model.onnx": model.bytes });
      const { vectors } = await encoder.encode(TEXTS);
      assertRows(
        vectors,
        IDS.map((ids) => expected(model, ids, "mean", false)),
      );
    });
  }

  for (const output of ["sentence_embedding", "pooler_output"] as const) {
    it(`takes ${output} as it is`, async (t) => {
      const model = tinyModel({ output });
      const encoder = await open(t, { "model.onnx": model.bytes });
      const { vectors } = await encoder.encode(TEXTS);
      assertRows(
        vectors,
        IDS.map((ids) => expected(model, ids, "cls", false).map((value) => 2 * value)),
      );
      assert.equal(encoder.identity.pooling, "model");
    });
  }

  it("heeds 1_Pooling/config.json without modules.json, also in the form of one word", async (t) => {
    const model = tinyModel();
    const encoder = await open(t, { "model.onnx": model.bytes, "1_Pooling/config.json": { pooling_mode: "cls" } });
    assertRows(
      (await encoder.encode(TEXTS)).vectors,
      IDS.map((ids) => expected(model, ids, "cls", false)),
    );
  });

  it("cuts at the smallest stated limit, keeps the control tokens, and counts", async (t) => {
    const model = tinyModel();
    const encoder = await open(t, {
      "model.onnx": model.bytes,
      "config.json": { model_type: "bert", max_position_embeddings: 64 },
      "tokenizer_config.json": { model_max_length: 1e30 },
      "sentence_bert_config.json": { max_seq_length: 5 },
    });
    assert.equal(encoder.maxTokens, 5);
    const { vectors, truncated } = await encoder.encode(TEXTS);
    const cut = IDS.map((ids) => (ids.length > 5 ? [...ids.slice(0, 4), SEP] : ids));
    assert.equal(truncated, 1);
    assertRows(
      vectors,
      cut.map((ids) => expected(model, ids, "mean", false)),
    );
  });

  it("cuts in front where the tokenizer says so", async (t) => {
    const model = tinyModel();
    const config = { truncation_side: "left", model_max_length: 5 };
    const encoder = await open(t, { "model.onnx": model.bytes, "tokenizer_config.json": config });
    const { vectors } = await encoder.encode([TEXTS[2]!]);
    assertRows(vectors, [expected(model, [CLS, ...IDS[2]!.slice(-4, -1), SEP], "mean", false)]);
  });

  it("reads 64 characters for each token and says when there were more", async (t) => {
    const encoder = await open(t, {
      "model.onnx": tinyModel().bytes,
      "sentence_bert_config.json": { max_seq_length: 9 },
    });
    const unread = " ".repeat(7 * 64);
    const [short, long] = [await encoder.encode([unread]), await encoder.encode([`${unread} hello`])];
    assert.deepEqual([short.truncated, long.truncated], [0, 1]);
    assert.deepEqual(long.vectors, short.vectors);
  });

  const limits: [number, Files][] = [
    [512, {}],
    [512, { "config.json": { model_type: "roberta", max_position_embeddings: 514 } }],
    [40, { "config.json": { model_type: "bert", max_position_embeddings: 40 } }],
    [32, { "tokenizer.json": { ...bertTokenizer(), truncation: { max_length: 32 } } }],
  ];
  for (const [maxTokens, files] of limits) {
    it(`states a maximum of ${maxTokens} tokens from ${JSON.stringify(Object.keys(files))}`, async (t) => {
      assert.equal((await open(t, { "model.onnx": tinyModel().bytes, ...files })).maxTokens, maxTokens);
    });
  }

  it("gives an embedding to a text of which the tokenizer leaves nothing", async (t) => {
    const bare = { ...bertTokenizer(), post_processor: null };
    const encoder = await open(t, { "model.onnx": tinyModel().bytes, "tokenizer.json": bare });
    const { vectors } = await encoder.encode(["\u0000", "hello"]);
    assert.ok(vectors.every(Number.isFinite));
  });

  it("is known by its absolute path", async (t) => {
    const directory = write(t, { "model.onnx": tinyModel().bytes });
    const encoder = await openEncoder(`file:${relative(process.cwd(), directory)}`, { provider: "cpu" });
    t.after(() => encoder.close());
    assert.equal(encoder.id, `file:${directory}`);
  });

  it("refuses to give embeddings that are not finite", async (t) => {
    const encoder = await open(t, { "model.onnx": tinyModel({ brokenId: VOCABULARY.indexOf("world") }).bytes });
    await assert.rejects(encoder.encode(["hello world"]), { code: "invalid_encoder", message: /not finite/ });
  });

  it("has another identity when the weights, the tokenizer or the pooling change", async (t) => {
    const files = { "model.onnx": tinyModel().bytes };
    const { identity } = await open(t, files);
    assert.deepEqual((await open(t, files)).identity, identity);
    const others: [keyof typeof identity, Files][] = [
      ["weights", { "model.onnx": tinyModel({ seed: 8 }).bytes }],
      ["weights", { ...files, "model.onnx_data": "external weights" }],
      ["tokenizer", { ...files, "tokenizer_config.json": { pad_token: "[PAD]" } }],
      ["pooling", { ...files, "1_Pooling/config.json": poolingConfig("cls") }],
      ["maxTokens", { ...files, "sentence_bert_config.json": { max_seq_length: 9 } }],
    ];
    for (const [field, changed] of others) {
      const other = (await open(t, changed)).identity;
      assert.notEqual(other[field], identity[field]);
    }
  });
});

describe("an encoder that cannot be used", () => {
  const model = tinyModel().bytes;
  const cases: [string, Files, RegExp][] = [
    ["without a model", {}, /model\.onnx nor onnx\/model\.onnx/],
    ["with a model that is not ONNX", { "model.onnx": "not a model" }, /model\.onnx/],
    ["with a model cut short", { "model.onnx": model.slice(0, model.length / 2) }, /model\.onnx/],
    [
      "with a tokenizer that is not JSON",
      { "model.onnx": model, "tokenizer.json": "{" },
      /tokenizer\.json is not valid JSON/,
    ],
    [
      "with a tokenizer of an unknown kind",
      { "model.onnx": model, "tokenizer.json": { model: { type: "Magic" } } },
      /tokenizer\.json/,
    ],
    ["with a config that is no object", { "model.onnx": model, "config.json": "[]" }, /config\.json should hold/],
    [
      "with a module that is not supported",
      { "model.onnx": model, "modules.json": modules("Transformer", "Dense") },
      /Dense/,
    ],
    [
      "with a pooling file missing",
      { "model.onnx": model, "modules.json": modules("Transformer", "Pooling") },
      /1_Pooling.config\.json/,
    ],
    [
      "with a pooling that is not supported",
      { "model.onnx": model, "1_Pooling/config.json": poolingConfig("mean_sqrt_len_tokens") },
      /mean_sqrt_len_tokens/,
    ],
    [
      "with a module path outside its directory",
      { "model.onnx": model, "modules.json": [{ type: "x.Pooling", path: "../.." }] },
      /outside/,
    ],
    ["with an unknown input", { "model.onnx": tinyModel({ inputs: ["attention_mask"] }).bytes }, /other_ids/],
    [
      "with an output that is no float32",
      { "model.onnx": tinyModel({ dtype: "float64" }).bytes },
      /last_hidden_state is float64/,
    ],
    ["with room for no text", { "model.onnx": model, "sentence_bert_config.json": { max_seq_length: 2 } }, /no room/],
    // The look-up of an id that the table does not have fails inside the runtime.
    [
      "with a vocabulary larger than the model's",
      {
        "model.onnx": model,
        "tokenizer.json": {
          ...bertTokenizer(),
          added_tokens: [],
          post_processor: null,
          model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", vocab: { "[UNK]": 99 } },
        },
      },
      /cannot be used/,
    ],
  ];
  for (const [what, files, message] of cases) {
    it(`${what} is refused, and the message says why`, async (t) => {
      await assert.rejects(openEncoder(`file:${write(t, files)}`, { provider: "cpu" }), {
        code: "invalid_encoder",
        message,
      });
    });
  }

  it("without tokenizer.json is refused", async (t) => {
    const directory = write(t, { "model.onnx": model });
    rmSync(join(directory, "tokenizer.json"));
    await assert.rejects(openEncoder(`file:${directory}`), { code: "invalid_encoder", message: /tokenizer\.json/ });
  });

  it("that is not there, or is a file, is unknown", async (t) => {
    const directory = temporaryDirectory(t);
    await assert.rejects(openEncoder(`file:${join(directory, "nothing")}`), { code: "unknown_encoder" });
    writeFileSync(join(directory, "plain"), "");
    await assert.rejects(openEncoder(`file:${join(directory, "plain")}`), { code: "unknown_encoder" });
  });

  it("whose provider is forced and cannot start is refused", async (t) => {
    const directory = write(t, { "model.onnx": model });
    const absent = process.platform === "darwin" ? "dml" : "coreml";
    await assert.rejects(openEncoder(`file:${directory}`, { provider: absent }), { code: "provider_unavailable" });
  });

  it("is noticed when the model changes underneath", async (t) => {
    const directory = write(t, { "model.onnx": model });
    const identities: string[] = [];
    for (const change of [() => {}, () => writeFileSync(join(directory, "model.onnx"), tinyModel({ seed: 9 }).bytes)]) {
      change();
      const encoder = await openEncoder(`file:${directory}`, { provider: "cpu" });
      identities.push(encoder.identity.weights);
      await encoder.close();
    }
    assert.notEqual(identities[0], identities[1]);
  });

  for (const spec of [
    "",
    "use-full",
    "file:",
    "hf:",
    "hf:one",
    "hf:a/b/c",
    "hf:../x",
    "hf:a/b@",
    "hf:a/b@x@y",
    "hf:a/b@../c",
    "http://x",
  ]) {
    it(`is unknown when written as ${JSON.stringify(spec)}`, async () => {
      await assert.rejects(openEncoder(spec), { code: "unknown_encoder" });
    });
  }
});
