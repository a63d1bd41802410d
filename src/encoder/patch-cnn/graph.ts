import { encodeModel, GraphBuilder, type Value } from "../../onnx/index.js";
import { Random } from "../../vector/index.js";
import { CONTRAST_FLOOR, DIMENSIONS, FILTER_SIZE, IMAGE_SIZE, SEED, STAGE_CHANNELS } from "./architecture.js";
import { firstFilters } from "./filters.js";
import { randomOrthogonal } from "./orthogonal.js";

/** Weights are whole multiples of this, so that they do not depend on the last digits of an engine's exp or sin. */
const WEIGHT_STEP = 2 ** -16;
/** Below this the squared length of an embedding counts as this, so that nothing is divided by 0. */
const SMALLEST_SQUARED_LENGTH = 1e-12;

/**
 * A small convolutional net as an ONNX model, made to be trained, and useful before.
 *
 * Input `pixels`, float32 (n, 3, IMAGE_SIZE, IMAGE_SIZE), normalised; output `embedding`, float32 (n, DIMENSIONS), of length 1.
 *
 * | stage | places | what it does |
 * |---|---|---|
 * | filters | 24 x 24 | edges, lines, spots and colours, 5 x 5, only positive answers |
 * | exposure | 12 x 12 | means of 2 x 2, divided by the energy of the image |
 * | block_0 | 12 x 12 | residual, 48 channels |
 * | contrast | 6 x 6 | means of 4 x 4 that overlap by half, divided by the energy of their neighbourhood |
 * | widen | 6 x 6 | 48 to 128 channels |
 * | block_1 | 6 x 6 | residual, 128 channels |
 * | head | 1 | all places and channels to DIMENSIONS numbers |
 *
 * Before any training the residual blocks add nothing, and `widen` and `head` are random orthogonal maps, which keep distances. So an
 * embedding then is, but for rotation, a histogram of oriented edges and of colours in 6 x 6 overlapping cells with normalised
 * contrast (Dalal, Triggs 2005). Unlike raw pixels it hardly changes with small shifts, the thickness of strokes, brightness and
 * contrast; nearest neighbours therefore agree better in what they show. Measured as R@1, the share of images whose nearest other
 * one is of the same kind: .57 on Omniglot (2,720 drawings of 136 characters), where raw pixels of 28 x 28 reach .40 to .49 by the
 * way they are made smaller; .34 on 700 emoji drawn by two vendors, where raw colour pixels reach .24.
 */
export function buildPatchCnn(): Uint8Array {
  return encodeModel(new PatchCnn().model());
}

class PatchCnn {
  readonly #g = new GraphBuilder("patch-cnn");
  readonly #random = new Random(SEED);

  model() {
    const g = this.#g;
    const [narrow, wide] = STAGE_CHANNELS;
    const pixels = g.input("pixels", "float32", ["n", 3, IMAGE_SIZE, IMAGE_SIZE]);
    let x = g.scope("filters", () => this.#filters(pixels));
    x = g.scope("exposure", () => this.#exposure(g.averagePool(x, [2, 2], { strides: [2, 2] })));
    x = g.scope("block_0", () => this.#block(x, "block_0", narrow));
    x = g.scope("contrast", () => this.#contrast(x));
    x = g.scope("widen", () => this.#widen(x, narrow, wide));
    x = g.scope("block_1", () => this.#block(x, "block_1", wide));
    g.output(
      g.scope("head", () => this.#head(x)),
      "embedding",
    );
    return g.model();
  }

  #filters(pixels: Value): Value {
    const g = this.#g;
    const margin = (FILTER_SIZE - 1) / 2;
    // The border is repeated outwards: zeros would be an edge around every image.
    const sides = g.constant([0, 0, margin, margin, 0, 0, margin, margin], "int64");
    const padded = g.operator("Pad", [pixels, sides], { mode: "edge" });
    const filters = this.#weight("filters.weight", [STAGE_CHANNELS[0], 3, FILTER_SIZE, FILTER_SIZE], firstFilters());
    return g.relu(g.conv(padded, filters, this.#bias("filters.bias", STAGE_CHANNELS[0]), { strides: [2, 2] }));
  }

  /** Divides by the root of the mean energy over channels and places, so that bright and dark images are alike. */
  #exposure(x: Value): Value {
    return this.#divideByRoot(x, this.#g.reduceMean(this.#g.mul(x, x), [1, 2, 3], true));
  }

  /** Means of cells that overlap, divided by the root of the mean energy over channels and 3 x 3 cells. */
  #contrast(x: Value): Value {
    const g = this.#g;
    // Padding counts, so that cells at the border, which see less of the image, also weigh less.
    const cells = g.averagePool(x, [4, 4], { strides: [2, 2], pads: [1, 1, 1, 1], countIncludePad: true });
    const energy = g.reduceMean(g.mul(cells, cells), [1], true);
    return this.#divideByRoot(cells, g.averagePool(energy, [3, 3], { pads: [1, 1, 1, 1] }));
  }

  #divideByRoot(x: Value, energy: Value): Value {
    const g = this.#g;
    return g.div(x, g.sqrt(g.add(energy, CONTRAST_FLOOR)));
  }

  /** x + outer(relu(inner(x))); the outer weights begin as zeros, so that the block begins as the identity. */
  #block(x: Value, name: string, channels: number): Value {
    const g = this.#g;
    const inner = this.#weight(
      `${name}.inner.weight`,
      [channels, channels, 3, 3],
      this.#normal(channels, channels * 9),
    );
    const hidden = g.relu(g.conv(x, inner, this.#bias(`${name}.inner.bias`, channels), { pads: [1, 1, 1, 1] }));
    const outer = this.#weight(`${name}.outer.weight`, [channels, channels, 1, 1], new Float32Array(channels ** 2));
    return g.add(x, g.conv(hidden, outer, this.#bias(`${name}.outer.bias`, channels)));
  }

  #widen(x: Value, from: number, to: number): Value {
    const weight = this.#weight("widen.weight", [to, from, 1, 1], randomOrthogonal(this.#random, to, from));
    return this.#g.conv(x, weight, this.#bias("widen.bias", to));
  }

  #head(x: Value): Value {
    const g = this.#g;
    const flat = g.flatten(x);
    const width = Number(flat.shape[1]);
    const weight = this.#weight("head.weight", [width, DIMENSIONS], randomOrthogonal(this.#random, width, DIMENSIONS));
    const embedding = g.add(g.matMul(flat, weight), this.#bias("head.bias", DIMENSIONS));
    const squaredLength = g.max(g.reduceSum(g.mul(embedding, embedding), [1], true), SMALLEST_SQUARED_LENGTH);
    return g.div(embedding, g.sqrt(squaredLength));
  }

  /** Normally distributed filters that keep the size of what passes a relu after them (He et al. 2015). */
  #normal(count: number, inputs: number): Float32Array {
    const deviation = Math.sqrt(2 / inputs);
    return Float32Array.from({ length: count * inputs }, () => deviation * this.#random.normal());
  }

  #weight(name: string, shape: readonly number[], values: Float32Array): Value {
    const data = values.map((value) => WEIGHT_STEP * Math.round(value / WEIGHT_STEP));
    return this.#g.initializer(name, { dtype: "float32", shape, data });
  }

  #bias(name: string, size: number): Value {
    return this.#g.initializer(name, { dtype: "float32", shape: [size], data: new Float32Array(size) });
  }
}
