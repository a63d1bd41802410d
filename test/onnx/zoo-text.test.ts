import { describe, it } from "node:test";
import { checkModel } from "./zoo/check-model.js";
import { ModelWriter } from "./zoo/model-writer.js";
import { TEXTS, TEXTS_SHAPE, VOCABULARY } from "./zoo/texts.js";

/*
 * Text encoders in the node patterns that torch.onnx.export and optimum write, with random weights: two texts of four and two
 * tokens through small layers.
 */

const WIDTH = 8;
const HEADS = 2;
const PER_HEAD = WIDTH / HEADS;
const MAX_POSITIONS = 6;
const LOWEST = -3.4028234663852886e38;

interface Style {
  readonly norm: "whole" | "decomposed";
  readonly gelu: "erf" | "tanh" | "whole" | "sigmoid";
}

/** Parts that the architectures share. */
class TextWriter extends ModelWriter {
  constructor(
    opset: number,
    readonly style: Style,
  ) {
    super(opset);
  }

  /** torch folds the transposition of a weight into a new initializer, and adds the bias on the left. */
  linear(x: string, name: string, from: number, to: number): string {
    const product = this.node("MatMul", [x, this.weight(`onnx::MatMul_${name}`, [from, to])]);
    return this.node("Add", [this.weight(`${name}.bias`, [to]), product]);
  }

  norm(x: string, name: string): string {
    const [scale, bias] = [this.weight(`${name}.weight`, [WIDTH], 1), this.weight(`${name}.bias`, [WIDTH])];
    if (this.style.norm === "whole") {
      return this.node("LayerNormalization", [x, scale, bias], { axis: -1, epsilon: { float: 1e-12 } });
    }
    const centred = this.node("Sub", [x, this.reduceMean(x, [-1])]);
    const variance = this.reduceMean(this.node("Pow", [centred, this.constant(2)]), [-1]);
    const deviation = this.node("Sqrt", [this.node("Add", [variance, this.constant(1e-12)])]);
    const normal = this.node("Mul", [this.node("Div", [centred, deviation]), scale]);
    return this.node("Add", [normal, bias]);
  }

  activation(x: string): string {
    switch (this.style.gelu) {
      case "whole":
        return this.node("Gelu", [x]);
      case "sigmoid":
        return this.node("Mul", [x, this.node("Sigmoid", [this.node("Mul", [x, this.constant(1.702)])])]);
      case "erf": {
        const erf = this.node("Erf", [this.node("Div", [x, this.constant(Math.SQRT2)])]);
        const share = this.node("Mul", [x, this.node("Add", [erf, this.constant(1)])]);
        return this.node("Mul", [share, this.constant(0.5)]);
      }
      case "tanh": {
        const cube = this.node("Mul", [this.node("Pow", [x, this.constant(3)]), this.constant(0.044715)]);
        const inner = this.node("Mul", [this.node("Add", [x, cube]), this.constant(Math.sqrt(2 / Math.PI))]);
        const share = this.node("Add", [this.node("Tanh", [inner]), this.constant(1)]);
        return this.node("Mul", [this.node("Mul", [x, this.constant(0.5)]), share]);
      }
    }
  }

  /** Token, type and position embeddings; a stored list of positions is cut to the length of the input. */
  embeddings(ids: string, width = WIDTH): string {
    const words = this.node(
      "Gather",
      [this.weight("word_embeddings", [VOCABULARY, width]), ids],
      {},
      "/embeddings/words",
    );
    const length = this.unsqueeze(this.size(ids, 1), [0]);
    const buffer = this.buffer("position_ids", "int64", [1, MAX_POSITIONS], [...Array(MAX_POSITIONS).keys()]);
    const positions = this.node("Slice", [buffer, this.ints(0), length, this.ints(1), this.ints(1)]);
    const table = this.weight("position_embeddings", [MAX_POSITIONS, width]);
    return this.node("Add", [words, this.node("Gather", [table, positions])]);
  }

  /** (batch, tokens, width) to (batch, heads, tokens, width / heads), by a shape that the graph computes. */
  heads(x: string, order = [0, 2, 1, 3]): string {
    const apart = this.reshape(x, this.size(x, 0), this.size(x, 1), HEADS, PER_HEAD);
    return this.node("Transpose", [apart], { perm: order });
  }

  joined(x: string): string {
    const beside = this.node("Transpose", [x], { perm: [0, 2, 1, 3] });
    return this.reshape(beside, this.size(beside, 0), this.size(beside, 1), WIDTH);
  }

  feedForward(x: string, name: string): string {
    return this.linear(this.activation(this.linear(x, `${name}.in`, WIDTH, 12)), `${name}.out`, 12, WIDTH);
  }

  /** Mean of the tokens that the mask keeps, as sentence-transformers pools. */
  meanPooling(x: string, mask: string): string {
    const shape = this.node("Shape", [x]);
    const wide = this.cast(this.node("Expand", [this.unsqueeze(mask, [2]), shape]), "float32");
    const sum = this.reduceSum(this.node("Mul", [x, wide]), [1], 0);
    const count = this.node("Clip", [this.reduceSum(wide, [1], 0), this.constant(1e-9)]);
    return this.node("Div", [sum, count]);
  }
}

/** BERT as optimum exports it up to opset 16: scores divided, and a mask of very negative numbers added. */
function bert(opset: number, style: Style): TextWriter {
  const w = new TextWriter(opset, style);
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  const kept = w.cast(w.unsqueeze(w.unsqueeze(mask, [1]), [2]), "float32");
  const bias = w.node("Mul", [w.node("Sub", [w.constant(1), kept]), w.constant(LOWEST)]);
  const types = w.node("ConstantOfShape", [w.node("Shape", [ids])], {
    value: { tensor: { dtype: "int64", shape: [1], data: BigInt64Array.of(0n) } },
  });
  const typed = w.node("Gather", [w.weight("token_type_embeddings", [2, WIDTH]), types]);
  let x = w.norm(w.node("Add", [w.embeddings(ids), typed]), "embeddings.LayerNorm");
  for (const layer of ["layer.0", "layer.1"]) {
    const query = w.heads(w.linear(x, `${layer}.query`, WIDTH, WIDTH));
    const key = w.heads(w.linear(x, `${layer}.key`, WIDTH, WIDTH), [0, 2, 3, 1]);
    const value = w.heads(w.linear(x, `${layer}.value`, WIDTH, WIDTH));
    const scores = w.node("Div", [w.node("MatMul", [query, key]), w.constant(Math.sqrt(PER_HEAD))]);
    const shares = w.node("Softmax", [w.node("Add", [scores, bias])], { axis: opset < 13 ? 3 : -1 });
    const mixed = w.joined(w.node("MatMul", [shares, value]));
    x = w.norm(w.node("Add", [w.linear(mixed, `${layer}.output`, WIDTH, WIDTH), x]), `${layer}.norm1`);
    x = w.norm(w.node("Add", [w.feedForward(x, layer), x]), `${layer}.norm2`);
  }
  const dropped = w.node("Dropout", [x]);
  w.output(w.meanPooling(dropped, mask));
  return w;
}

/** BERT as torch exports its scaled_dot_product_attention: shapes expanded by a Where chain, and a pooler of Gemm and Tanh. */
function bertSdpa(): TextWriter {
  const w = new TextWriter(17, { norm: "whole", gelu: "erf" });
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  const [batch, length] = [w.size(mask, 0), w.size(mask, 1)];
  // expand(batch, 1, length, length), where -1 would stand for "as it is".
  const wanted = w.shape(batch, 1, length, length);
  const ones = w.node("ConstantOfShape", [w.node("Shape", [wanted])], {
    value: { tensor: { dtype: "int64", shape: [1], data: BigInt64Array.of(1n) } },
  });
  const same = w.node("Equal", [wanted, w.node("Mul", [ones, w.constant(-1, "int64")])]);
  const target = w.node("Where", [same, ones, wanted]);
  const wide = w.cast(w.node("Expand", [w.unsqueeze(w.unsqueeze(mask, [1]), [2]), target]), "float32");
  const inverted = w.node("Sub", [w.constant(1), wide]);
  const bias = w.node("Where", [w.cast(inverted, "bool"), w.constant(LOWEST), inverted]);
  let x = w.norm(w.embeddings(ids), "embeddings.LayerNorm");
  const query = w.heads(w.linear(x, "query", WIDTH, WIDTH));
  const key = w.heads(w.linear(x, "key", WIDTH, WIDTH));
  const value = w.heads(w.linear(x, "value", WIDTH, WIDTH));
  const rows = w.node("Slice", [w.node("Shape", [query]), w.ints(-1), w.ints(2 ** 40)]);
  const scale = w.node("Div", [w.constant([1]), w.node("Sqrt", [w.cast(rows, "float32")])]);
  const swapped = w.node("Transpose", [key], { perm: [0, 1, 3, 2] });
  const left = w.node("Mul", [query, w.node("Sqrt", [scale])]);
  const right = w.node("Mul", [swapped, w.node("Sqrt", [scale])]);
  const scores = w.node("Add", [w.node("MatMul", [left, right]), bias]);
  const shares = w.node("Softmax", [scores], { axis: -1 });
  const safe = w.node("Where", [w.node("IsNaN", [shares]), w.constant(0), shares]);
  const mixed = w.joined(w.node("MatMul", [safe, value]));
  x = w.norm(w.node("Add", [w.linear(mixed, "output", WIDTH, WIDTH), x]), "norm1");
  x = w.norm(w.node("Add", [w.feedForward(x, "ffn"), x]), "norm2");
  const first = w.node("Gather", [x, w.constant(0, "int64")], { axis: 1 });
  const dense = [first, w.weight("pooler.dense.weight", [WIDTH, WIDTH]), w.weight("pooler.dense.bias", [WIDTH])];
  w.output(w.node("Tanh", [w.node("Gemm", dense, { alpha: { float: 1 }, beta: { float: 1 }, transB: 1 })]));
  return w;
}

/** DistilBERT: the mask is compared, laid out and expanded to the scores, which are filled by Where. */
function distilbert(): TextWriter {
  const w = new TextWriter(14, { norm: "decomposed", gelu: "erf" });
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", ["mask_batch", "mask_length"]);
  let x = w.norm(w.embeddings(ids), "embeddings.LayerNorm");
  const [batch, length] = [w.size(x, 0), w.size(x, 1)];
  const lay = (y: string) => w.node("Transpose", [w.reshape(y, batch, -1, HEADS, PER_HEAD)], { perm: [0, 2, 1, 3] });
  const query = w.node("Div", [lay(w.linear(x, "q_lin", WIDTH, WIDTH)), w.constant(Math.sqrt(PER_HEAD))]);
  const key = lay(w.linear(x, "k_lin", WIDTH, WIDTH));
  const value = lay(w.linear(x, "v_lin", WIDTH, WIDTH));
  const scores = w.node("MatMul", [query, w.node("Transpose", [key], { perm: [0, 1, 3, 2] })]);
  const empty = w.reshape(w.node("Equal", [mask, w.constant(0, "int64")]), batch, 1, 1, length);
  const everywhere = w.node("Expand", [empty, w.node("Shape", [scores])]);
  const filled = w.node("Where", [everywhere, w.constant(LOWEST), scores]);
  const mixed = w.node("MatMul", [w.node("Softmax", [filled], { axis: 3 }), value]);
  const beside = w.node("Transpose", [mixed], { perm: [0, 2, 1, 3] });
  const attended = w.linear(w.reshape(beside, batch, -1, WIDTH), "out_lin", WIDTH, WIDTH);
  x = w.norm(w.node("Add", [attended, x]), "sa_layer_norm");
  x = w.norm(w.node("Add", [w.feedForward(x, "ffn"), x]), "output_layer_norm");
  w.output(x);
  return w;
}

/** MPNet: a bias of learned numbers by the distance of positions, in buckets that grow with its logarithm. */
function mpnet(): TextWriter {
  const w = new TextWriter(13, { norm: "decomposed", gelu: "erf" });
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  // Positions count from 2 on, over the tokens that are no padding (0).
  const seen = w.node("Cast", [w.node("Not", [w.node("Equal", [ids, w.constant(0, "int64")])])], { to: 6 });
  const counted = w.node("Mul", [w.node("CumSum", [seen, w.constant(1, "int64")]), seen]);
  const positions = w.node("Add", [w.cast(counted, "int64"), w.constant(1, "int64")]);
  const words = w.node("Gather", [w.weight("word_embeddings", [VOCABULARY, WIDTH]), ids]);
  const placed = w.node("Gather", [w.weight("position_embeddings", [MAX_POSITIONS, WIDTH]), positions]);
  let x = w.norm(w.node("Add", [words, placed]), "embeddings.LayerNorm");
  const length = w.size(ids, 1);
  const range = w.node("Range", [w.constant(0, "int64"), length, w.constant(1, "int64")]);
  const distance = w.node("Sub", [w.unsqueeze(range, [0]), w.unsqueeze(range, [1])]);
  const far = w.node("Abs", [distance]);
  const near = w.node("Less", [far, w.constant(2, "int64")]);
  const logarithm = w.node("Log", [w.node("Div", [w.cast(far, "float32"), w.constant(2)])]);
  const grown = w.node("Add", [w.cast(logarithm, "int64"), w.constant(2, "int64")]);
  const bucket = w.node("Where", [near, far, w.node("Min", [grown, w.constant(3, "int64")])]);
  const table = w.node("Gather", [w.weight("relative_attention_bias", [4, HEADS]), bucket]);
  const relative = w.unsqueeze(w.node("Transpose", [table], { perm: [2, 0, 1] }), [0]);
  const target = w.shape(w.size(ids, 0), HEADS, length, length);
  const everywhere = w.node("Expand", [relative, target]);
  const kept = w.cast(w.unsqueeze(mask, [1, 2]), "float32");
  const bias = w.node("Mul", [w.node("Sub", [w.constant(1), kept]), w.constant(-10000)]);
  const query = w.heads(w.linear(x, "attn.q", WIDTH, WIDTH));
  const key = w.heads(w.linear(x, "attn.k", WIDTH, WIDTH), [0, 2, 3, 1]);
  const value = w.heads(w.linear(x, "attn.v", WIDTH, WIDTH));
  const scores = w.node("Div", [w.node("MatMul", [query, key]), w.constant(Math.sqrt(PER_HEAD))]);
  const biased = w.node("Add", [w.node("Add", [scores, everywhere]), bias]);
  const mixed = w.joined(w.node("MatMul", [w.node("Softmax", [biased], { axis: -1 }), value]));
  x = w.norm(w.node("Add", [w.linear(mixed, "attn.o", WIDTH, WIDTH), x]), "attention.LayerNorm");
  w.output(w.norm(w.node("Add", [w.feedForward(x, "ffn"), x]), "output.LayerNorm"));
  return w;
}

/** ALBERT: narrow embeddings projected up, one layer used twice, queries, keys and values by one split product, and Einsum. */
function albert(): TextWriter {
  const w = new TextWriter(12, { norm: "decomposed", gelu: "tanh" });
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  let x = w.linear(w.embeddings(ids, 4), "embedding_hidden_mapping_in", 4, WIDTH);
  const kept = w.cast(w.unsqueeze(w.unsqueeze(mask, [1]), [2]), "float32");
  const bias = w.node("Mul", [w.node("Sub", [w.constant(1), kept]), w.constant(-10000)]);
  for (let round = 0; round < 2; round++) {
    const all = w.linear(x, "attention.qkv", WIDTH, 3 * WIDTH);
    const parts = w.nodes("Split", [all], 3, { axis: 2, split: [WIDTH, WIDTH, WIDTH] });
    const [query, key, value] = parts.map((part) => w.heads(part));
    const scores = w.node("Einsum", [query!, key!], { equation: "bhid,bhjd->bhij" });
    const scaled = w.node("Mul", [scores, w.constant(1 / Math.sqrt(PER_HEAD))]);
    const shares = w.node("Softmax", [w.node("Add", [scaled, bias])], { axis: 3 });
    const mixed = w.joined(w.node("Einsum", [shares, value!], { equation: "bhij,bhjd->bhid" }));
    x = w.norm(w.node("Add", [x, w.linear(mixed, "attention.dense", WIDTH, WIDTH)]), "attention.LayerNorm");
    x = w.norm(w.node("Add", [w.feedForward(x, "ffn"), x]), "full_layer_layer_norm");
  }
  w.output(w.node("Identity", [x]));
  return w;
}

describe("text encoders as exported", () => {
  const encoders: [string, () => TextWriter, number][] = [
    ["BERT, opset 11, normalisation in parts, Gelu by Erf", () => bert(11, { norm: "decomposed", gelu: "erf" }), 2],
    ["BERT, opset 14, Gelu by Tanh", () => bert(14, { norm: "decomposed", gelu: "tanh" }), 2],
    ["BERT, opset 17, whole normalisation", () => bert(17, { norm: "whole", gelu: "erf" }), 2],
    ["BERT, opset 18, Gelu by Sigmoid", () => bert(18, { norm: "decomposed", gelu: "sigmoid" }), 2],
    ["BERT, opset 20, whole Gelu", () => bert(20, { norm: "whole", gelu: "whole" }), 2],
    ["BERT with scaled dot product attention and a pooler", bertSdpa, 2],
    ["DistilBERT", distilbert, 3],
    ["MPNet", mpnet, 3],
    ["ALBERT", albert, 3],
  ];
  for (const [name, write, rank] of encoders) {
    it(name, async () => {
      const writer = write();
      await checkModel({ model: writer.model(), feeds: TEXTS, weights: writer.weights.keys(), rank });
    });
  }
});
