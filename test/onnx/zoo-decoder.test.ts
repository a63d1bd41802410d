import { describe, it } from "node:test";
import { checkModel } from "./zoo/check-model.js";
import { ModelWriter } from "./zoo/model-writer.js";
import { TEXTS, TEXTS_SHAPE, VOCABULARY } from "./zoo/texts.js";

/* Decoders that embed a text by its last token, in the node patterns that torch.onnx.export writes, with random weights. */

const WIDTH = 8;
const HEADS = 2;
const PER_HEAD = WIDTH / HEADS;
const CONTEXT = 6;
const LOWEST = -3.4028234663852886e38;

/** Position of the last token that the mask keeps: (batch). */
function lastPositions(w: ModelWriter, mask: string): string {
  return w.node("Sub", [w.reduceSum(mask, [1], 0), w.constant(1, "int64")]);
}

/** x[arange(batch), positions]: torch stacks the indices of both axes and picks by GatherND. */
function pickRows(w: ModelWriter, x: string, positions: string): string {
  const batch = w.node("Range", [w.constant(0, "int64"), w.size(x, 0), w.constant(1, "int64")]);
  const indices = w.node("Concat", [w.unsqueeze(batch, [-1]), w.unsqueeze(positions, [-1])], { axis: -1 });
  return w.node("GatherND", [x, indices], { batch_dims: 0 });
}

/** GPT-2: one Gemm over flattened rows for queries, keys and values, and a stored triangle that is cut to the length. */
function gpt2(opset: number): ModelWriter {
  const w = new ModelWriter(opset);
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  const [batch, length] = [w.size(ids, 0), w.size(ids, 1)];
  const norm = (x: string, name: string) => {
    const parameters = [w.weight(`${name}.weight`, [WIDTH], 1), w.weight(`${name}.bias`, [WIDTH])];
    return w.node("LayerNormalization", [x, ...parameters], { axis: -1, epsilon: { float: 1e-5 } });
  };
  const conv1d = (x: string, name: string, from: number, to: number) => {
    const rows = w.reshape(x, -1, from);
    const product = w.node("Gemm", [rows, w.weight(`${name}.weight`, [from, to]), w.weight(`${name}.bias`, [to])]);
    return w.reshape(product, batch, length, to);
  };
  const range = w.node("Range", [w.constant(0, "int64"), length, w.constant(1, "int64")]);
  const positions = w.reshape(w.unsqueeze(range, [0]), -1, length);
  const words = w.node("Gather", [w.weight("wte", [VOCABULARY, WIDTH]), ids]);
  let x = w.node("Add", [words, w.node("Gather", [w.weight("wpe", [CONTEXT, WIDTH]), positions])]);

  const all = w.nodes("Split", [conv1d(norm(x, "ln_1"), "c_attn", WIDTH, 3 * WIDTH)], 3, {
    axis: 2,
    ...splitOf(opset),
  });
  const [query, key, value] = all.map((part) =>
    w.node("Transpose", [w.reshape(part, batch, length, HEADS, PER_HEAD)], { perm: [0, 2, 1, 3] }),
  );
  const swapped = w.node("Transpose", [key!], { perm: [0, 1, 3, 2] });
  const scores = w.node("Div", [
    w.node("MatMul", [query!, swapped]),
    w.node("Pow", [w.constant(PER_HEAD), w.constant(0.5)]),
  ]);
  const triangle = Array.from({ length: CONTEXT ** 2 }, (_, at) => Number(at % CONTEXT <= Math.floor(at / CONTEXT)));
  const stored = w.buffer("bias", "bool", [1, 1, CONTEXT, CONTEXT], triangle);
  // bias[:, :, keys - queries : keys, :keys], where queries and keys are equally many.
  const keys = w.unsqueeze(length, [0]);
  const from = w.unsqueeze(w.node("Sub", [length, length]), [0]);
  const rows = w.node("Slice", [stored, from, keys, w.ints(2), w.ints(1)]);
  const causal = w.node("Slice", [rows, w.ints(0), keys, w.ints(3), w.ints(1)]);
  const masked = w.node("Where", [causal, scores, w.constant(LOWEST)]);
  const kept = w.cast(w.unsqueeze(w.unsqueeze(mask, [1]), [2]), "float32");
  const padding = w.node("Mul", [w.node("Sub", [w.constant(1), kept]), w.constant(-10000)]);
  const shares = w.node("Softmax", [w.node("Add", [masked, padding])], { axis: -1 });
  const mixed = w.node("Transpose", [w.node("MatMul", [shares, value!])], { perm: [0, 2, 1, 3] });
  x = w.node("Add", [conv1d(w.reshape(mixed, batch, length, WIDTH), "c_proj", WIDTH, WIDTH), x]);

  const inner = conv1d(norm(x, "ln_2"), "c_fc", WIDTH, 12);
  const cube = w.node("Mul", [w.node("Pow", [inner, w.constant(3)]), w.constant(0.044715)]);
  const slope = w.node("Mul", [w.node("Add", [inner, cube]), w.constant(Math.sqrt(2 / Math.PI))]);
  const open = w.node("Add", [w.node("Tanh", [slope]), w.constant(1)]);
  const active = w.node("Mul", [w.node("Mul", [inner, w.constant(0.5)]), open]);
  x = norm(w.node("Add", [x, conv1d(active, "mlp_proj", 12, WIDTH)]), "ln_f");
  w.output(pickRows(w, x, lastPositions(w, mask)));
  return w;
}

function splitOf(opset: number): { split?: number[]; num_outputs?: number } {
  return opset < 13 ? { split: [WIDTH, WIDTH, WIDTH] } : opset < 18 ? {} : { num_outputs: 3 };
}

/** Llama and Qwen: RMS norm in parts, rotary positions, keys and values shared by heads, SwiGLU, a causal mask from ranges. */
function llama(): ModelWriter {
  const w = new ModelWriter(17);
  const ids = w.input("input_ids", "int64", TEXTS_SHAPE);
  const mask = w.input("attention_mask", "int64", TEXTS_SHAPE);
  const [batch, length] = [w.size(ids, 0), w.size(ids, 1)];
  const rmsNorm = (x: string, name: string) => {
    const mean = w.reduceMean(w.node("Pow", [w.cast(x, "float32"), w.constant(2)]), [-1]);
    const inverse = w.node("Reciprocal", [w.node("Sqrt", [w.node("Add", [mean, w.constant(1e-6)])])]);
    return w.node("Mul", [w.weight(`${name}.weight`, [WIDTH], 1), w.node("Mul", [x, inverse])]);
  };
  const project = (x: string, name: string, to: number, from = WIDTH) =>
    w.node("MatMul", [x, w.weight(`onnx::MatMul_${name}`, [from, to])]);
  const lay = (x: string, heads: number) =>
    w.node("Transpose", [w.reshape(x, batch, length, heads, PER_HEAD)], { perm: [0, 2, 1, 3] });

  const range = w.node("Range", [w.constant(0, "int64"), length, w.constant(1, "int64")]);
  const positions = w.cast(w.unsqueeze(w.unsqueeze(range, [0]), [1]), "float32");
  // A buffer of the model, which its exporter may store beside the weights.
  const inverse = w.buffer("rotary_emb.inv_freq", "float32", [1, PER_HEAD / 2, 1], [1, 0.1]);
  const frequencies = w.node("Expand", [inverse, w.ints(1, PER_HEAD / 2, 1)]);
  const angles = w.node("Transpose", [w.node("MatMul", [frequencies, positions])], { perm: [0, 2, 1] });
  const both = w.node("Concat", [angles, angles], { axis: -1 });
  const [cosine, sine] = ["Cos", "Sin"].map((opType) => w.unsqueeze(w.node(opType, [both]), [1]));
  const rotate = (x: string) => {
    const first = w.node("Slice", [x, w.ints(0), w.ints(PER_HEAD / 2), w.ints(3), w.ints(1)]);
    const second = w.node("Slice", [x, w.ints(PER_HEAD / 2), w.ints(2 ** 40), w.ints(3), w.ints(1)]);
    const half = w.node("Concat", [w.node("Neg", [second]), first], { axis: -1 });
    return w.node("Add", [w.node("Mul", [x, cosine!]), w.node("Mul", [half, sine!])]);
  };
  // repeat_kv: one head of keys and values serves both heads of queries.
  const repeat = (x: string) => {
    const wide = w.node("Expand", [w.unsqueeze(x, [2]), w.shape(batch, 1, HEADS, length, PER_HEAD)]);
    return w.reshape(wide, batch, HEADS, length, PER_HEAD);
  };

  const table = w.weight("embed_tokens", [VOCABULARY, WIDTH]);
  let x = w.node("Gather", [table, ids]);
  const normed = rmsNorm(x, "input_layernorm");
  const query = rotate(lay(project(normed, "q_proj", WIDTH), HEADS));
  const key = repeat(rotate(lay(project(normed, "k_proj", PER_HEAD), 1)));
  const value = repeat(lay(project(normed, "v_proj", PER_HEAD), 1));
  const square = w.node("ConstantOfShape", [w.shape(length, length)], {
    value: { tensor: { dtype: "float32", shape: [1], data: Float32Array.of(LOWEST) } },
  });
  const later = w.node("Greater", [w.unsqueeze(range, [0]), w.reshape(range, -1, 1)]);
  const upper = w.node("Trilu", [square, w.constant(1, "int64")], { upper: 1 });
  const causal = w.unsqueeze(w.unsqueeze(w.node("Mul", [upper, w.cast(later, "float32")]), [0]), [1]);
  const wide = w.node("Expand", [causal, w.shape(batch, 1, length, length)]);
  const empty = w.node("Equal", [w.unsqueeze(w.unsqueeze(mask, [1]), [2]), w.constant(0, "int64")]);
  const hidden = w.node("Or", [w.node("Not", [w.node("Equal", [wide, w.constant(0)])]), empty]);
  const bias = w.node("Where", [hidden, w.constant(LOWEST), w.constant(0)]);
  const swapped = w.node("Transpose", [key], { perm: [0, 1, 3, 2] });
  const scores = w.node("Mul", [w.node("MatMul", [query, swapped]), w.constant(1 / Math.sqrt(PER_HEAD))]);
  const shares = w.node("Softmax", [w.node("Add", [scores, bias])], { axis: -1 });
  const mixed = w.node("Transpose", [w.node("MatMul", [shares, value])], { perm: [0, 2, 1, 3] });
  x = w.node("Add", [x, project(w.reshape(mixed, batch, length, WIDTH), "o_proj", WIDTH)]);
  const inner = rmsNorm(x, "post_attention_layernorm");
  const gate = project(inner, "gate_proj", 12);
  const active = w.node("Mul", [w.node("Mul", [gate, w.node("Sigmoid", [gate])]), project(inner, "up_proj", 12)]);
  x = rmsNorm(w.node("Add", [x, project(active, "down_proj", WIDTH, 12)]), "norm");
  w.output(pickRows(w, x, lastPositions(w, mask)));
  return w;
}

describe("decoders as exported", () => {
  const decoders: [string, () => ModelWriter][] = [
    ["GPT-2, opset 12", () => gpt2(12)],
    ["GPT-2, opset 17", () => gpt2(17)],
    ["Llama", llama],
  ];
  for (const [name, write] of decoders) {
    it(name, async () => {
      const writer = write();
      await checkModel({ model: writer.model(), feeds: TEXTS, weights: writer.weights.keys(), rank: 2 });
    });
  }
});
