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

interface Sessions {
  /** Rows through a head, and rows as they are. */
  embedding: Session;
  preparation: Session;
  /** The same, and how close queries are to them. */
  closeness: Session;
  baseCloseness: Session;
}

/** The matrix products of judging and re-embedding, in ONNX Runtime sessions opened once. Nothing is multiplied by the identity. */
export class Engine {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly #sessions: Sessions;
  /** The weights asked about last: the blocks of a scan all come with the same. */
  #asked: { weights: Float32Array; isIdentity: boolean } | undefined;

  private constructor({ dimensions, metric }: EngineOptions, sessions: Sessions) {
    this.dimensions = dimensions;
    this.metric = metric;
    this.#sessions = sessions;
  }

  static async open(options: EngineOptions): Promise<Engine> {
    const { dimensions, metric, provider, threads } = options;
    const open = (model: Uint8Array) => openSession(model, { provider, threads });
    return new Engine(options, {
      embedding: await open(embeddingModel(dimensions, metric)),
      preparation: await open(preparationModel(dimensions, metric)),
      closeness: await open(closenessModel(dimensions, metric, true)),
      baseCloseness: await open(closenessModel(dimensions, metric, false)),
    });
  }

  get provider(): Provider {
    return this.#sessions.embedding.provider;
  }

  /** Rows through a head, whose weights stay as they are from call to call, and prepared for comparison: n x d, of unit length under cosine. */
  async embed(rows: Float32Array, weights: Float32Array): Promise<Float32Array> {
    const d = this.dimensions;
    const n = rows.length / d;
    if (n === 0) return new Float32Array(0);
    const { embedding, preparation } = this.#sessions;
    const base = tensor(rows, [n, d]);
    const outputs = this.#isIdentity(weights)
      ? await preparation.run({ base })
      : await embedding.run({ base, weights: tensor(weights, [d, d]) });
    return floats(outputs, "embedded");
  }

  /** Closeness of n embedded queries to m rows through a head: n x m, larger is closer (see `closenessModel`). */
  async closeness(queries: Float32Array, rows: Float32Array, weights: Float32Array): Promise<Float32Array> {
    const d = this.dimensions;
    const { closeness, baseCloseness } = this.#sessions;
    const feeds = { queries: tensor(queries, [queries.length / d, d]), base: tensor(rows, [rows.length / d, d]) };
    const outputs = this.#isIdentity(weights)
      ? await baseCloseness.run(feeds)
      : await closeness.run({ ...feeds, weights: tensor(weights, [d, d]) });
    return floats(outputs, "closeness");
  }

  #isIdentity(weights: Float32Array): boolean {
    if (this.#asked?.weights !== weights) {
      this.#asked = { weights, isIdentity: isIdentity(weights, this.dimensions) };
    }
    return this.#asked.isIdentity;
  }

  async close(): Promise<void> {
    for (const session of Object.values(this.#sessions)) await session.close();
  }
}
