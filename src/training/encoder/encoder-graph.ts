import { embeddingGraph, type ModelDescription } from "../../encoder/index.js";
import { type Dimension, GraphBuilder, importModel, type ModelProto, type Value } from "../../onnx/index.js";
import type { TrainedWeights } from "./trained-weights.js";

/** An input of the encoder's model as it is fed: the first dimension counts rows, those that vary from batch to batch have a name. */
export interface EncoderGraphInput {
  name: string;
  dtype: "int64" | "float32";
  shape: readonly Dimension[];
}

/** An encoder that is about to be trained. */
export interface TunableEncoder {
  /** As `normalizeModel` gives it. */
  model: ModelProto;
  description: ModelDescription;
  inputs: readonly EncoderGraphInput[];
  /** Of an embedding. */
  dimensions: number;
  trained: TrainedWeights;
}

/** A graph in which an encoder's trained weights are inputs, `weight_0`, `weight_1`, ... in their order. */
export class EncoderGraph {
  readonly graph: GraphBuilder;
  readonly weights: readonly Value[];
  readonly #encoder: TunableEncoder;
  /** What stands for the initializers; those that are not trained are stored once, however often the encoder is applied. */
  readonly #initializers: Map<string, Value>;

  constructor(name: string, encoder: TunableEncoder) {
    this.graph = new GraphBuilder(name);
    this.#encoder = encoder;
    const { weights } = encoder.trained;
    this.weights = weights.map(({ shape }, i) => this.graph.input(`weight_${i}`, "float32", shape));
    const byName = new Map(
      weights.flatMap(({ name }, i) => (this.weights[i] ? [[name, this.weights[i]] as const] : [])),
    );
    this.#initializers = new Map(encoder.trained.initializers(this.graph, byName));
  }

  /**
   * Applies the encoder to one part of a batch: inputs `part_K/NAME` of (rows_K, ...), to embeddings (rows_K, dimensions).
   * Parts are padded each for itself.
   */
  embed(part: number): Value {
    const { graph } = this;
    const { model, description, inputs, dimensions } = this.#encoder;
    const prefix = `part_${part}/`;
    const fed = inputs.map(({ name, dtype, shape }): [string, Value] => {
      const named = shape.map((size) => (typeof size === "string" ? `${size}_${part}` : size));
      return [name, graph.input(`${prefix}${name}`, dtype, named)];
    });
    const imported = importModel(graph, model, {
      inputs: Object.fromEntries(fed),
      prefix,
      replace: (name, tensor) => {
        const known = this.#initializers.get(name) ?? graph.initializer(`frozen/${name}`, tensor);
        this.#initializers.set(name, known);
        return known;
      },
    });
    return graph.withShape(embeddingGraph(graph, imported, description), [`rows_${part}`, dimensions]);
  }
}
