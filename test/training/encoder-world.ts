import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeEncoder, openEncoder } from "../../src/encoder/index.js";
import { encodeModel, GraphBuilder, type Value } from "../../src/onnx/index.js";
import type { FineTuneTask, GivenOptions, NumberedFeedback } from "../../src/training/index.js";
import { Random } from "../../src/vector/random.js";
import { bertTokenizer, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { NO_FEEDBACK } from "./support.js";

export type Pooling = "mean" | "cls" | "last" | "max";

const TOPICS = 12;
const WORDS_OF_TOPIC = 6;
const FILLERS = 20;
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
export const WIDTH = 16;

const topicWords = Array.from({ length: TOPICS }, (_, topic) =>
  Array.from({ length: WORDS_OF_TOPIC }, (_, word) => `topic${"abcdefghijkl"[topic]}${"mnopqr"[word]}`),
);
const fillers = Array.from({ length: FILLERS }, (_, word) => `filler${"abcdefghijklmnopqrst"[word]}`);
const VOCABULARY = [...SPECIAL, ...topicWords.flat(), ...fillers];

/** Sentences of words that mean one of a few topics, which an encoder of random embeddings does not know. */
export class TextWorld {
  readonly random: Random;
  readonly texts: string[] = [];
  readonly topics: number[] = [];

  constructor(seed: number, items = 240) {
    this.random = new Random(seed);
    for (let item = 0; item < items; item++) {
      const topic = item % TOPICS;
      const words = [this.#pick(topicWords[topic]!), this.#pick(topicWords[topic]!)];
      for (let filler = this.random.integer(6); filler >= 0; filler--) words.push(this.#pick(fillers));
      this.texts.push(this.random.shuffle(words).join(" "));
      this.topics.push(topic);
    }
  }

  /** Every item's topic; shuffled, they say nothing. */
  labels(shuffled = false): NumberedFeedback["labels"] {
    const topics = shuffled ? this.random.shuffle([...this.topics]) : this.topics;
    return topics.map((topic, item) => [item, `topic ${topic}`]);
  }

  /** Writes an encoder and the files of a task that trains it. Labels are the even numbers, so that rows and positions differ. */
  async task(
    directory: string,
    feedback: Partial<NumberedFeedback>,
    options: GivenOptions = {},
    changes: Partial<FineTuneTask> = {},
  ): Promise<FineTuneTask> {
    const spec = writeTextEncoder(join(directory, "encoder"), { seed: 3 });
    const encoder = await openEncoder(spec, { provider: "cpu", threads: 1 });
    const { vectors } = await encoder.encode(this.texts);
    await encoder.close();
    const path = (name: string) => join(directory, name);
    const rows = new Float32Array(2 * this.texts.length * WIDTH).fill(Number.NaN);
    this.texts.forEach((_, i) => {
      rows.set(vectors.subarray(i * WIDTH, (i + 1) * WIDTH), 2 * i * WIDTH);
    });
    writeFileSync(path("rows.f32"), rows);
    writeFileSync(
      path("labels.u32"),
      Uint32Array.from(this.texts, (_, i) => 2 * i),
    );
    writeFileSync(path("feedback.json"), JSON.stringify({ ...NO_FEEDBACK, ...feedback }));
    writeFileSync(path("contents.jsonl"), this.texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
    return {
      dimensions: WIDTH,
      metric: "cosine",
      seed: 7,
      threads: 1,
      niceness: 0,
      rows: path("rows.f32"),
      liveLabels: path("labels.u32"),
      feedback: path("feedback.json"),
      options: { scope: "encoder", loss: "info-nce", learningRate: 1e-2, epochs: 6, ...options },
      encoder: {
        model: await describeEncoder(spec),
        contents: path("contents.jsonl"),
        checkpoints: path("checkpoints"),
      },
      output: { model: path("encoder.onnx"), vectors: path("vectors.f32") },
      ...changes,
    };
  }

  #pick(words: readonly string[]): string {
    return words[this.random.integer(words.length)]!;
  }
}

export interface TextEncoderOptions {
  seed?: number;
  /** @default "mean" */
  pooling?: Pooling;
  /** @default true */
  normalize?: boolean;
  layers?: number;
  /** Leaves out the padding mask. */
  maskless?: boolean;
  /** Of the weights as they are stored. @default "float32" */
  dtype?: "float32" | "float16";
}

/** Writes a small encoder of texts with weights of every kind: a table, matrices, biases, norms. Gives its specification. */
export function writeTextEncoder(directory: string, options: TextEncoderOptions = {}): string {
  const { pooling = "mean", normalize = true } = options;
  const tokenizer = bertTokenizer() as { model: { vocab: Record<string, number> } };
  tokenizer.model.vocab = Object.fromEntries(VOCABULARY.map((word, id) => [word, id]));
  const modes = { mean: "mean_tokens", cls: "cls_token", last: "lasttoken", max: "max_tokens" };
  writeEncoder(directory, {
    "model.onnx": textModel(options),
    "tokenizer.json": tokenizer,
    "modules.json": [
      { type: "sentence_transformers.models.Transformer", path: "" },
      { type: "sentence_transformers.models.Pooling", path: "1_Pooling" },
      ...(normalize ? [{ type: "sentence_transformers.models.Normalize", path: "2_Normalize" }] : []),
    ] as object,
    "1_Pooling/config.json": { [`pooling_mode_${modes[pooling]}`]: true },
  });
  return `file:${directory}`;
}

/** The bits of a number in half precision, cut off: small enough ones become 0. */
function halfBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  return exponent <= 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

function textModel({ seed = 1, layers = 2, maskless = false, dtype = "float32" }: TextEncoderOptions): Uint8Array {
  const random = new Random(seed);
  const g = new GraphBuilder("small");
  const weight = (name: string, shape: number[], scale: number, offset = 0) => {
    const size = shape.reduce((product, each) => product * each, 1);
    const data = Float32Array.from({ length: size }, () => offset + scale * random.normal());
    if (dtype === "float32") return g.initializer(name, { dtype, shape, data });
    return g.cast(g.initializer(name, { dtype, shape, data: Uint16Array.from(data, halfBits) }), "float32");
  };
  const ids = g.input("input_ids", "int64", ["batch", "tokens"]);
  const mask = maskless ? undefined : g.input("attention_mask", "int64", ["batch", "tokens"]);
  let x: Value = g.gather(weight("embeddings.words", [VOCABULARY.length, WIDTH], 1), ids);
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `layer.${layer}.${part}`;
    const inner = g.scope(`layer.${layer}`, () => {
      let scores = g.mul(
        g.matMul(x, g.transpose(g.matMul(x, weight(name("key.weight"), [WIDTH, WIDTH], 0.2)), [0, 2, 1])),
        0.25,
      );
      if (mask !== undefined) scores = g.add(scores, g.unsqueeze(g.mul(g.sub(1, g.cast(mask, "float32")), -1e4), [1]));
      const mixed = g.matMul(g.softmax(scores), x);
      const wide = g.add(
        g.matMul(mixed, weight(name("in.weight"), [WIDTH, 24], 0.2)),
        weight(name("in.bias"), [24], 0.1),
      );
      return g.matMul(g.relu(wide), weight(name("out.weight"), [24, WIDTH], 0.2));
    });
    x = g.layerNormalization(
      g.add(x, inner),
      weight(name("norm.weight"), [WIDTH], 0.1, 1),
      weight(name("norm.bias"), [WIDTH], 0.1),
    );
  }
  g.output(x, "last_hidden_state");
  return encodeModel(g.model());
}
