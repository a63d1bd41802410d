import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { bertTokenizer } from "../encoder/support/tiny-encoder.js";
import { COLOURS, type Colour } from "./pictures.js";

const SIDE = 8;
const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ...Object.keys(COLOURS)];

/** Dimensions of both encoders: the mean red, green and blue of the upper half, then of the lower half, each from -1 to 1. */
export const COLOUR_DIMENSIONS = 6;

/** Writes an image encoder whose embedding is plain to see: the mean colours of the upper and of the lower half. */
export function writeColourEncoder(directory: string): string {
  writeFiles(directory, {
    "model.onnx": visionModel(),
    "preprocessor_config.json": PREPROCESSOR,
    "config.json": JSON.stringify({ model_type: "colours" }),
  });
  return `file:${directory}`;
}

/** Writes the same with a text encoder beside it that puts the name of a colour where images of that colour lie. */
export function writeColourPair(directory: string): string {
  writeFiles(directory, {
    "vision_model.onnx": visionModel(),
    "text_model.onnx": textModel(),
    "preprocessor_config.json": PREPROCESSOR,
    "tokenizer.json": JSON.stringify(tokenizer()),
    "config.json": JSON.stringify({ model_type: "clip" }),
  });
  return `file:${directory}`;
}

const PREPROCESSOR = JSON.stringify({
  image_processor_type: "ViTImageProcessor",
  size: { height: SIDE, width: SIDE },
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
});

function visionModel(): Uint8Array {
  const g = new GraphBuilder("colours");
  const rows = g.reduceMean(g.input("pixel_values", "float32", ["batch", 3, SIDE, SIDE]), [3]);
  const halves = [0, SIDE / 2].map((start) => g.reduceMean(g.slice(rows, [start], [start + SIDE / 2], [2]), [2]));
  g.output(g.concat(halves, 1), "image_embeds");
  return encodeModel(g.model());
}

function textModel(): Uint8Array {
  const g = new GraphBuilder("colour names");
  const rows = WORDS.map((word) =>
    word in COLOURS ? embeddingOf(COLOURS[word as keyof typeof COLOURS]) : Array(6).fill(0),
  );
  const data = Float32Array.from(rows.flat());
  const table = g.initializer("words", { dtype: "float32", shape: [WORDS.length, COLOUR_DIMENSIONS], data });
  const ids = g.input("input_ids", "int64", ["batch", "tokens"]);
  // So that an embedding of no known word has a direction too.
  g.output(g.add(g.reduceSum(g.gather(table, ids), [1]), 0.001), "text_embeds");
  g.input("attention_mask", "int64", ["batch", "tokens"]);
  return encodeModel(g.model());
}

/** What the image encoder gives for an image of one colour, before it is scaled to length 1. */
export function embeddingOf(colour: Colour): number[] {
  const half = colour.map((value) => value / 127.5 - 1);
  return [...half, ...half];
}

function tokenizer(): object {
  const bert = bertTokenizer() as { model: object };
  return { ...bert, model: { ...bert.model, vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])) } };
}

function writeFiles(directory: string, files: Record<string, string | Uint8Array>): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
}
