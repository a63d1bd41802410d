import { encodeModel, GraphBuilder, type Value } from "../../onnx/index.js";
import {
  DIMENSIONS,
  EMBEDDING_DIMENSIONS,
  HEADS,
  LAYER_NORM_EPSILON,
  LAYERS,
  type LayerShape,
  MAX_TIMESCALE,
  MAX_TOKENS,
  VOCABULARY_SIZE,
} from "./architecture.js";
import type { Weight, WeightTable } from "./weights.js";

type LayerWeight = Parameters<WeightTable["layer"]>[1];

/** Added to the attention scores of padding, as the reference does: its share after the softmax is exactly 0. */
const MASKED_SCORE = -1e9;
/** Below this the squared length of an embedding counts as this, so that nothing is divided by 0. */
const SMALLEST_SQUARED_LENGTH = 1e-12;

/**
 * Universal Sentence Encoder Lite as an ONNX model.
 *
 * Inputs `input_ids` and `attention_mask`, both int64 (batch, tokens), tokens at most MAX_TOKENS, the mask 1 for a
 * token and 0 for padding. Output `sentence_embedding`, float32 (batch, DIMENSIONS), of length 1.
 *
 * Two pre-normalised transformer layers over the token embeddings plus sinusoidal positions, the mean over the tokens,
 * a dense layer with tanh, and L2 normalisation.
 */
export function buildUseLite(weights: WeightTable): Uint8Array {
  const g = new GraphBuilder("use-lite");
  const ids = g.input("input_ids", "int64", ["batch", "tokens"]);
  const mask = g.cast(g.input("attention_mask", "int64", ["batch", "tokens"]), "float32");
  const scoreBias = g.unsqueeze(g.mul(g.sub(1, mask), MASKED_SCORE), [1, 2]);

  let x = g.scope("embeddings", () => embed(g, weights, ids));
  for (const [index, shape] of LAYERS.entries()) {
    x = g.scope(`layer_${index}`, () => new Layer(g, weights, index, shape).apply(x, scoreBias));
  }
  const pooled = g.scope("pooling", () => meanOfTokens(g, x, mask));
  g.output(
    g.scope("output", () => outputLayer(g, weights, pooled)),
    "sentence_embedding",
  );
  return encodeModel(g.model());
}

/** The reference adds embeddings and positions to the embeddings once more, so they count twice: 2 * embedding + position. */
function embed(g: GraphBuilder, weights: WeightTable, ids: Value): Value {
  const table = weights.embeddings();
  const doubled = { shape: [VOCABULARY_SIZE, EMBEDDING_DIMENSIONS], data: table.data.map((value) => 2 * value) };
  const positions = g.range(0, g.gather(g.shape(ids), 1));
  const signal = g.gather(initializer(g, "positions", positionSignal()), positions);
  return g.add(g.gather(initializer(g, "token_embeddings", doubled), ids), signal);
}

/** Sines and cosines of the position over wavelengths in geometric progression (Vaswani et al. 2017, all sines first). */
function positionSignal(): Weight {
  const half = EMBEDDING_DIMENSIONS / 2;
  const data = new Float32Array(MAX_TOKENS * EMBEDDING_DIMENSIONS);
  for (let position = 0; position < MAX_TOKENS; position++) {
    for (let at = 0; at < half; at++) {
      const angle = position * MAX_TIMESCALE ** (-at / (half - 1));
      data[position * EMBEDDING_DIMENSIONS + at] = Math.sin(angle);
      data[position * EMBEDDING_DIMENSIONS + half + at] = Math.cos(angle);
    }
  }
  return { shape: [MAX_TOKENS, EMBEDDING_DIMENSIONS], data };
}

/** One transformer layer: attention, then a feed-forward network, each after a layer normalisation and around a residual. */
class Layer {
  constructor(
    private readonly g: GraphBuilder,
    private readonly weights: WeightTable,
    private readonly index: number,
    private readonly shape: LayerShape,
  ) {}

  apply(x: Value, scoreBias: Value): Value {
    const { g } = this;
    const residual = this.shape.input === DIMENSIONS ? x : this.#dense(x, "residual", this.shape.input, DIMENSIONS);
    const normed = this.#layerNorm(x, "attentionNorm");
    const attended = g.add(
      residual,
      g.scope("attention", () => this.#attention(normed, scoreBias)),
    );
    const expanded = this.#dense(
      this.#layerNorm(attended, "feedForwardNorm"),
      "feedForwardIn",
      DIMENSIONS,
      this.shape.feedForward,
    );
    return g.add(attended, this.#dense(g.relu(expanded), "feedForwardOut", this.shape.feedForward, DIMENSIONS));
  }

  #attention(x: Value, scoreBias: Value): Value {
    const { g } = this;
    const width = this.shape.input;
    const perHead = width / HEADS;
    const parts = g.split(this.#dense(x, "queryKeyValue", width, 3 * width), [width, width, width], -1);
    const [query, key, value] = parts.map((part) => g.reshape(part, [0, 0, HEADS, perHead]));
    if (query === undefined || key === undefined || value === undefined) throw new Error("Split gives three parts.");
    const scores = g.matMul(
      g.mul(g.transpose(query, [0, 2, 1, 3]), 1 / Math.sqrt(perHead)),
      g.transpose(key, [0, 2, 3, 1]),
    );
    const shares = g.softmax(g.add(scores, scoreBias));
    const mixed = g.transpose(g.matMul(shares, g.transpose(value, [0, 2, 1, 3])), [0, 2, 1, 3]);
    return this.#dense(g.reshape(mixed, [0, 0, width]), "attentionOutput", width, DIMENSIONS);
  }

  #layerNorm(x: Value, name: "attentionNorm" | "feedForwardNorm"): Value {
    const scale = this.#weight(`${name}Scale`);
    return this.g.layerNormalization(x, scale, this.#weight(`${name}Bias`), { epsilon: LAYER_NORM_EPSILON });
  }

  #dense(
    x: Value,
    name: "residual" | "queryKeyValue" | "attentionOutput" | "feedForwardIn" | "feedForwardOut",
    from: number,
    to: number,
  ): Value {
    return this.g.add(this.g.matMul(x, this.#weight(name, [from, to])), this.#weight(`${name}Bias`));
  }

  /** A weight of this layer; published kernels carry axes of size 1, which `shape` takes away. */
  #weight(name: LayerWeight, shape?: number[]): Value {
    const weight = this.weights.layer(this.index, name);
    return initializer(this.g, `layer_${this.index}.${name}`, { data: weight.data, shape: shape ?? weight.shape });
  }
}

function meanOfTokens(g: GraphBuilder, x: Value, mask: Value): Value {
  const sum = g.reduceSum(g.mul(x, g.unsqueeze(mask, [2])), [1]);
  return g.div(sum, g.reduceSum(mask, [1], true));
}

function outputLayer(g: GraphBuilder, weights: WeightTable, pooled: Value): Value {
  const weight = initializer(g, "output.weights", weights.output("weights"));
  const embedding = g.tanh(g.add(g.matMul(pooled, weight), initializer(g, "output.bias", weights.output("bias"))));
  const squaredLength = g.max(g.reduceSum(g.mul(embedding, embedding), [1], true), SMALLEST_SQUARED_LENGTH);
  return g.div(embedding, g.sqrt(squaredLength));
}

function initializer(g: GraphBuilder, name: string, { shape, data }: Weight): Value {
  return g.initializer(name, { dtype: "float32", shape, data });
}
