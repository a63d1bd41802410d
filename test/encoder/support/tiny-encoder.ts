import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DataType, encodeModel, GraphBuilder, type Value } from "../../../src/onnx/index.js";
import { Random } from "../../../src/vector/index.js";

/** A WordPiece vocabulary; the id of a piece is its place. */
export const VOCABULARY = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "card",
  "lost",
  "my",
  "pay",
  "##ment",
  "##s",
  "the",
  "where",
  "is",
  "hello",
  "world",
];
export const CLS = 2;
export const SEP = 3;
export const TINY_DIMENSIONS = 6;
const POSITIONS = 64;

/** tokenizer.json of a small BERT: lower case, WordPiece, [CLS] text [SEP]. */
export function bertTokenizer(): object {
  const special = (content: string) => ({
    id: VOCABULARY.indexOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(special),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [
        { SpecialToken: { id: "[CLS]", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "[SEP]", type_id: 0 } },
      ],
      pair: [],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [CLS], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [SEP], tokens: ["[SEP]"] },
      },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(VOCABULARY.map((piece, id) => [piece, id])),
    },
  };
}

export interface TinyModel {
  bytes: Uint8Array;
  /** What the model gives for one token: tokens[id] + positions[place]. */
  tokenEmbedding(id: number, position: number): number[];
}

export interface TinyModelOptions {
  inputs?: readonly ("input_ids" | "attention_mask" | "token_type_ids" | "position_ids")[];
  /** `sentence_embedding`, `text_embeds` and `pooler_output` are one row a text. */
  output?: "last_hidden_state" | "token_embeddings" | "sentence_embedding" | "text_embeds" | "pooler_output" | "logits";
  /** What an output that is one row a text is: the first token, doubled, or the mean of all, padding too. @default "first" */
  pooled?: "first" | "all";
  /** Of the output. */
  dtype?: DataType;
  /** A token whose embedding is infinite. */
  brokenId?: number;
  seed?: number;
}

/**
 * An encoder of one table look-up: a token's embedding depends on its id and place alone, so what it should give is
 * plain to compute, and a padding token that slips into the pooling is seen.
 */
export function tinyModel({
  inputs = ["input_ids", "attention_mask"],
  output = "last_hidden_state",
  pooled = "first",
  dtype = "float32",
  brokenId,
  seed = 7,
}: TinyModelOptions = {}): TinyModel {
  const random = new Random(seed);
  const table = (rows: number) => Float32Array.from({ length: rows * TINY_DIMENSIONS }, () => random.normal());
  const [tokens, positions] = [table(VOCABULARY.length), table(POSITIONS)];
  if (brokenId !== undefined) tokens!.fill(Infinity, brokenId * TINY_DIMENSIONS, (brokenId + 1) * TINY_DIMENSIONS);
  const g = new GraphBuilder("tiny");
  const declared = new Map(inputs.map((name) => [name, g.input(name, "int64", ["batch", "tokens"])]));
  const ids = declared.get("input_ids") ?? g.input("other_ids", "int64", ["batch", "tokens"]);
  const weight = (name: string, data: Float32Array) =>
    g.initializer(name, { dtype: "float32", shape: [data.length / TINY_DIMENSIONS, TINY_DIMENSIONS], data });
  const places = declared.get("position_ids") ?? g.range(0, g.gather(g.shape(ids), 1));
  let x: Value = g.add(g.gather(weight("tokens", tokens), ids), g.gather(weight("positions", positions), places));
  const types = declared.get("token_type_ids");
  // All token types are 0 for a single text, so this adds nothing.
  if (types !== undefined) x = g.add(x, g.unsqueeze(g.cast(types, "float32"), [2]));
  if (["sentence_embedding", "text_embeds", "pooler_output"].includes(output)) {
    x = pooled === "first" ? g.mul(g.gather(x, 0, 1), 2) : g.reduceMean(x, [1]);
  }
  g.output(g.cast(x, dtype), output);
  const row = (data: Float32Array, at: number) => [...data.subarray(at * TINY_DIMENSIONS, (at + 1) * TINY_DIMENSIONS)];
  return {
    bytes: encodeModel(g.model()),
    tokenEmbedding: (id, position) => row(tokens, id).map((value, at) => value + row(positions, position)[at]!),
  };
}

/** Writes the files of an encoder; objects become JSON. */
export function writeEncoder(directory: string, files: Record<string, string | Uint8Array | object>): void {
  for (const [path, content] of Object.entries(files)) {
    const target = join(directory, path);
    mkdirSync(dirname(target), { recursive: true });
    const plain = typeof content === "string" || content instanceof Uint8Array;
    writeFileSync(target, plain ? content : JSON.stringify(content));
  }
}
