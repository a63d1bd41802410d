import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeModel, type ModelProto } from "../../src/onnx/index.js";
import { Random } from "../../src/vector/index.js";
import { classTexts } from "../collection/tuned-generation.js";
import {
  bertTokenizer,
  TINY_DIMENSIONS,
  tinyModel,
  VOCABULARY,
  writeEncoder,
} from "../encoder/support/tiny-encoder.js";
import { ModelWriter } from "../onnx/zoo/model-writer.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "attune-bad-encoders-"));
const texts = classTexts(new Random(seedOf("bad encoders", 6)), 60);
const SHAPE = [VOCABULARY.length, TINY_DIMENSIONS];

let server: ServerUnderTest;
before(async () => {
  server = await serve();
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes the directory of a text encoder around the bytes of its model; returns its specification. */
function encoder(name: string, model: Uint8Array | string, files: Record<string, Uint8Array> = {}): string {
  const directory = join(folder, name);
  writeEncoder(directory, { "model.onnx": model, "tokenizer.json": bertTokenizer(), "config.json": {}, ...files });
  return `file:${directory}`;
}

/** A model written by hand: what `build` makes of the embeddings (texts, tokens, 6) of a table. */
function tableModel(
  opset: number,
  build: (writer: ModelWriter, x: string) => string,
  batch: number | string = "batch",
): ModelProto {
  const writer = new ModelWriter(opset);
  const ids = writer.input("input_ids", "int64", [batch, "tokens"]);
  const x = writer.node("Gather", [writer.weight("table", SHAPE), ids]);
  writer.output(build(writer, x));
  return writer.model();
}

const meanOfTokens = (writer: ModelWriter, x: string) => writer.node("ReduceMean", [x], { axes: [1], keepdims: 0 });

/** The table of such a model in a file of its own. */
function externalModel(): { model: Uint8Array; data: Uint8Array } {
  const model = tableModel(17, meanOfTokens);
  const [{ rawData = new Uint8Array(), ...table } = {}] = model.graph?.initializer ?? [];
  const external = { ...table, dataLocation: 1, externalData: [{ key: "location", value: "weights.bin" }] };
  return { model: encodeModel({ ...model, graph: { ...model.graph, initializer: [external] } }), data: rawData };
}

/** One that embeds a text by the ids of its tokens, and stores nothing. */
function weightless(): Uint8Array {
  const writer = new ModelWriter(17);
  const ids = writer.cast(writer.input("input_ids", "int64", ["batch", "tokens"]), "float32");
  const parts = ["Sin", "Cos"].map((opType) => writer.unsqueeze(writer.node(opType, [ids]), [2]));
  writer.output(meanOfTokens(writer, writer.node("Concat", parts, { axis: 2 })));
  return encodeModel(writer.model());
}

describe("a collection is refused an encoder whose model", () => {
  const whole = tinyModel().bytes;
  const refusals: Record<string, [Uint8Array | string, RegExp]> = {
    "is cut short": [whole.subarray(0, whole.length - 40), /model\.onnx/],
    "is an empty file": ["", /model\.onnx/],
    "is a web page": ["<!doctype html><title>Sign in</title>", /model\.onnx/],
    "keeps its data in a file that is not there": [externalModel().model, /weights\.bin/],
    "reads one text at a time": [encodeModel(tableModel(17, meanOfTokens, 1)), /invalid dimensions.*input_ids/],
    "puts the tokens of all texts in one list": [
      encodeModel(tableModel(17, (writer, x) => writer.reshape(x, -1, TINY_DIMENSIONS))),
      /shape \[.*\]; expected \[2, dimensions\]/,
    ],
    "gives one number for each token": [
      encodeModel(tableModel(17, (writer, x) => writer.node("ReduceMean", [x], { axes: [0, 1], keepdims: 0 }))),
      /shape \[6\]; expected/,
    ],
    "gives four axes": [encodeModel(tableModel(17, (writer, x) => writer.unsqueeze(x, [1]))), /shape \[.*\]; expected/],
  };
  for (const [name, [model, detail]] of Object.entries(refusals)) {
    it(name, async () => {
      const body = { modality: "text", encoder: encoder(name, model) };
      assert.match(
        assertProblem(await server.send("PUT", "/v1/collections/refused", { body }), "invalid_encoder").detail,
        detail,
      );
      assertProblem(await server.send("GET", "/v1/collections/refused"), "collection_not_found");
    });
  }
});

describe("a fine-tune of an encoder fails, and its collection goes on, where the model", () => {
  const { model: external, data } = externalModel();
  const refusals: Record<string, [string, RegExp]> = {
    "keeps its data in another file": [
      encoder("external", external, { "weights.bin": data }),
      /"weights\.bin".*save_model/,
    ],
    "is of an operator set too old": [
      encoder("old", encodeModel(tableModel(9, meanOfTokens))),
      /operator set 9; versions 11 to/,
    ],
    "has no weights to train": [encoder("weightless", weightless()), /no weights to train/],
    "has an operator that cannot be differentiated": [
      encoder(
        "unsupported",
        encodeModel(tableModel(17, (writer, x) => writer.node("Softsign", [meanOfTokens(writer, x)], {}, "/head/act"))),
      ),
      /"\/head\/act" \(Softsign\) has no gradient rule/,
    ],
  };
  for (const [number, [name, [spec, reason]]] of Object.entries(refusals).entries()) {
    it(name, async () => {
      const { collection } = await server.client.createCollection(`texts-${number}`, {
        modality: "text",
        encoder: spec,
      });
      await collection.upsert(texts.map(({ id, text }) => ({ id, text })));
      await collection.submitFeedback({ labels: texts.map(({ id, class: label }) => ({ item: id, label })) });
      const answer = await server.send("POST", `/v1/collections/texts-${number}/fine-tunes`, {
        body: { scope: "encoder" },
      });
      assert.equal(answer.status, 202, answer.text);
      const job = await collection.waitForFineTune(answer.json.id);
      assert.equal(job.status, "failed");
      assert.match(job.reason ?? "", reason);
      const { results } = await collection.query({ text: texts[0]!.text, k: 1 });
      assert.equal(results.length, 1);
    });
  }
});
