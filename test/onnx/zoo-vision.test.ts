import { describe, it } from "node:test";
import type { Tensor } from "../../src/runtime/index.js";
import { generator } from "./gradient-check.js";
import { checkModel } from "./zoo/check-model.js";
import { ModelWriter } from "./zoo/model-writer.js";

/* Vision transformers in the node patterns that torch.onnx.export and optimum write, with random weights: 8 x 8 pixels, 4 patches. */

const WIDTH = 8;
const HEADS = 2;
const PER_HEAD = WIDTH / HEADS;
const SIZE = 8;
const PATCH = 4;
const PATCHES = (SIZE / PATCH) ** 2;

const random = generator(3);
const PIXELS: Tensor = {
  dtype: "float32",
  shape: [2, 3, SIZE, SIZE],
  data: Float32Array.from({ length: 2 * 3 * SIZE * SIZE }, () => 2 * random() - 1),
};
const SHAPE = ["batch_size", 3, SIZE, SIZE];

class VisionWriter extends ModelWriter {
  linear(x: string, name: string, from: number, to: number): string {
    const product = this.node("MatMul", [x, this.weight(`onnx::MatMul_${name}`, [from, to])]);
    return this.node("Add", [this.weight(`${name}.bias`, [to]), product]);
  }

  norm(x: string, name: string): string {
    const parameters = [this.weight(`${name}.weight`, [WIDTH], 1), this.weight(`${name}.bias`, [WIDTH])];
    return this.node("LayerNormalization", [x, ...parameters], { axis: -1, epsilon: { float: 1e-5 } });
  }

  /** A convolution whose kernel is as large as its step, laid out as (batch, patches, width). */
  patches(pixels: string, bias: boolean): string {
    const kernel = this.weight("patch_embedding.weight", [WIDTH, 3, PATCH, PATCH]);
    const inputs = [pixels, kernel, ...(bias ? [this.weight("patch_embedding.bias", [WIDTH])] : [])];
    const map = this.node("Conv", inputs, {
      dilations: [1, 1],
      group: 1,
      kernel_shape: [PATCH, PATCH],
      pads: [0, 0, 0, 0],
      strides: [PATCH, PATCH],
    });
    // flatten(2): the first two sizes, then what is left.
    const start = this.node("Slice", [this.node("Shape", [map]), this.ints(0), this.ints(2), this.ints(0)]);
    const flat = this.node("Reshape", [map, this.node("Concat", [start, this.ints(-1)], { axis: 0 })]);
    return this.node("Transpose", [flat], { perm: [0, 2, 1] });
  }

  /** A learned token before the patches, for every image of the batch. */
  withClass(patches: string, shape: number[]): string {
    const batch = this.size(patches, 0);
    const target = this.shape(batch, 1, -1);
    const ones = this.node("ConstantOfShape", [this.ints(3)], {
      value: { tensor: { dtype: "int64", shape: [1], data: BigInt64Array.of(1n) } },
    });
    const same = this.node("Equal", [target, this.node("Mul", [ones, this.constant(-1, "int64")])]);
    const token = this.weight("class_embedding", shape);
    const wide = this.node("Expand", [token, this.node("Where", [same, ones, target])]);
    return this.node("Concat", [wide, patches], { axis: 1 });
  }

  attention(x: string, name: string): string {
    const [batch, length] = [this.size(x, 0), this.size(x, 1)];
    const lay = (y: string) =>
      this.node("Transpose", [this.reshape(y, batch, length, HEADS, PER_HEAD)], { perm: [0, 2, 1, 3] });
    const query = lay(this.linear(x, `${name}.query`, WIDTH, WIDTH));
    const key = this.node("Transpose", [lay(this.linear(x, `${name}.key`, WIDTH, WIDTH))], { perm: [0, 1, 3, 2] });
    const value = lay(this.linear(x, `${name}.value`, WIDTH, WIDTH));
    const scores = this.node("Div", [this.node("MatMul", [query, key]), this.constant(Math.sqrt(PER_HEAD))]);
    const mixed = this.node("MatMul", [this.node("Softmax", [scores], { axis: -1 }), value]);
    const beside = this.node("Transpose", [mixed], { perm: [0, 2, 1, 3] });
    return this.linear(this.reshape(beside, batch, length, WIDTH), `${name}.output`, WIDTH, WIDTH);
  }

  layer(x: string, name: string, activate: (x: string) => string): string {
    const attended = this.node("Add", [this.attention(this.norm(x, `${name}.before`), name), x]);
    const inner = this.linear(this.norm(attended, `${name}.after`), `${name}.in`, WIDTH, 12);
    return this.node("Add", [this.linear(activate(inner), `${name}.out`, 12, WIDTH), attended]);
  }
}

/** ViT and DINO: the class token of the last layer; DINO scales each branch, ViT does not. */
function vit(): VisionWriter {
  const w = new VisionWriter(17);
  const pixels = w.input("pixel_values", "float32", SHAPE);
  const tokens = w.withClass(w.patches(pixels, true), [1, 1, WIDTH]);
  let x = w.node("Add", [tokens, w.weight("position_embeddings", [1, PATCHES + 1, WIDTH])]);
  const gelu = (y: string) => {
    const erf = w.node("Erf", [w.node("Div", [y, w.constant(Math.SQRT2)])]);
    return w.node("Mul", [w.node("Mul", [y, w.node("Add", [erf, w.constant(1)])]), w.constant(0.5)]);
  };
  x = w.layer(x, "layer.0", gelu);
  x = w.node("Mul", [x, w.weight("layer_scale", [WIDTH], 1)]);
  w.output(w.norm(w.layer(x, "layer.1", gelu), "layernorm"));
  return w;
}

/** The vision tower of CLIP: quick Gelu, a projection, and the output of length 1. */
function clip(): VisionWriter {
  const w = new VisionWriter(17);
  const pixels = w.input("pixel_values", "float32", SHAPE);
  const tokens = w.withClass(w.patches(pixels, false), [WIDTH]);
  const positions = w.buffer("position_ids", "int64", [1, PATCHES + 1], [...Array(PATCHES + 1).keys()]);
  const table = w.weight("position_embedding.weight", [PATCHES + 1, WIDTH]);
  let x = w.norm(w.node("Add", [tokens, w.node("Gather", [table, positions])]), "pre_layrnorm");
  x = w.layer(x, "layer", (y) => w.node("Mul", [y, w.node("Sigmoid", [w.node("Mul", [y, w.constant(1.702)])])]));
  const first = w.node("Gather", [x, w.constant(0, "int64")], { axis: 1 });
  const embeds = w.node("MatMul", [w.norm(first, "post_layernorm"), w.weight("visual_projection", [WIDTH, 5])]);
  const length = w.node("ReduceL2", [embeds], { axes: [-1], keepdims: 1 });
  const wide = w.node("Expand", [w.node("Clip", [length, w.constant(1e-12)]), w.node("Shape", [embeds])]);
  w.output(w.node("Div", [embeds, wide]));
  return w;
}

describe("vision transformers as exported", () => {
  for (const [name, write, rank] of [
    ["ViT", vit, 3],
    ["the vision tower of CLIP", clip, 2],
  ] as const) {
    it(name, async () => {
      const writer = write();
      await checkModel({
        model: writer.model(),
        feeds: { pixel_values: PIXELS },
        weights: writer.weights.keys(),
        rank,
      });
    });
  }
});
