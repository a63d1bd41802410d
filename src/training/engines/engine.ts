import type { Provider, ProviderChoice, Session, Tensor } from "../../runtime/index.js";
import { openSession } from "../../runtime/index.js";
import type { Metric } from "../../vector/metric.js";
import { closenessModel, embeddingModel, isIdentity, preparationModel } from "../head/head.js";

/** A float32 tensor as the runtime takes it. */
export function tensor(data: Float32Array, shape: number[]): Tensor {
  return { dtype: "float32", shape, data: data as Float32Array<ArrayBuffer> };
}

/** The float32 numbers of a named output. */
export function floats(outputs: Record<string, Tensor>, name: string): Float32Array {
  const output = outputs[name];
  if (output === undefined || !(output.data instanceof Float32Array)) {
    throw new Error(`The session gave no float32 output "${name}"`);
  }
  return output.data;
}

export interface EngineOptions {
  dimensions: number;
  metric: Metric;
  provider: ProviderChoice;
  threads: number;
}

/** The matrix products of judging and re-embedding, in ONNX Runtime sessions opened once. */
export class Engine {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly #embedding: Session;
  readonly #preparation: Session;
  readonly #closeness: Session;

  private constructor(
    options: EngineOptions,
    sessions: { embedding: Session; preparation: Session; closeness: Session },
  ) {
    this.dimensions = options.dimensions;
    this.metric = options.metric;
    this.#embedding = sessions.embedding;
    this.#preparation = sessions.preparation;
    this.#closeness = sessions.closeness;
  }

  static async open(options: EngineOptions): Promise<Engine> {
    const { dimensions, metric, provider, threads } = options;
    const open = (model: Uint8Array) => openSession(model, { provider, threads });
    return new Engine(options, {
      embedding: await open(embeddingModel(dimensions, metric)),
      preparation: await open(preparationModel(dimensions, metric)),
      closeness: await open(closenessModel(dimensions, metric)),
    });
  }

  get provider(): Provider {
    return this.#embedding.provider;
  }

  /** Rows through a head and prepared for comparison: n x d, of unit length under cosine. Nothing is multiplied by the identity. */
  async embed(rows: Float32Array, weights: Float32Array): Promise<Float32Array> {
    const d = this.dimensions;
    const n = rows.length / d;
    if (n === 0) return new Float32Array(0);
    const base = tensor(rows, [n, d]);
    const outputs = isIdentity(weights, d)
      ? await this.#preparation.run({ base })
      : await this.#embedding.run({ base, weights: tensor(weights, [d, d]) });
    return floats(outputs, "embedded");
  }

  /** Closeness of n embedded queries to m embedded rows: n x m, larger is closer (see `closenessModel`). */
  async closeness(queries: Float32Array, embedded: Float32Array): Promise<Float32Array> {
    const d = this.dimensions;
    const feeds = {
      queries: tensor(queries, [queries.length / d, d]),
      embedded: tensor(embedded, [embedded.length / d, d]),
    };
    return floats(await this.#closeness.run(feeds), "closeness");
  }

  async close(): Promise<void> {
    await this.#embedding.close();
    await this.#preparation.close();
    await this.#closeness.close();
  }
}
