import { HeldTensor, openSession, type Session, type Tensor } from "../../runtime/index.js";
import { type Batch, padBatch } from "../batches/batch.js";
import { floats, tensor } from "../engines/engine.js";
import { LOSSES } from "../losses/index.js";
import { adamWFactors } from "../optimizer/adam-w.js";
import type { BaseRows } from "../rows/base-rows.js";
import { identityWeights } from "./head.js";
import { type HeadTrainer, type HeadTrainerOptions, type HeadTraining, rowCapacity } from "./head-trainer.js";
import { stepModel } from "./step-graph.js";

const HELD = ["nextDeviation", "nextMean", "nextVariance"] as const;

/** Trains heads on ONNX Runtime: a step is one run of one graph. */
export class OnnxHeadTrainer implements HeadTrainer {
  readonly options: HeadTrainerOptions;
  readonly #session: Session;
  /** The rows of the batch at hand: made once, since a fresh block for every step keeps the garbage collector busy. */
  readonly #rows: Float32Array;

  private constructor(options: HeadTrainerOptions, session: Session) {
    this.options = options;
    this.#session = session;
    this.#rows = new Float32Array(rowCapacity(options.batchSize) * options.dimensions);
  }

  static async open(options: HeadTrainerOptions): Promise<OnnxHeadTrainer> {
    const { dimensions, batchSize, metric, provider, threads, batchNegatives, recipe } = options;
    const loss = LOSSES[recipe.loss];
    const rows = rowCapacity(batchSize);
    const model = stepModel({ dimensions, batchSize, rows, metric, loss, batchNegatives });
    return new OnnxHeadTrainer(options, await openSession(model, { provider, threads, hold: HELD }));
  }

  get provider(): string {
    return this.#session.provider;
  }

  start(weights: Float32Array): HeadTraining {
    return new OnnxHeadTraining(this.options, this.#session, this.#rows, weights);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

/** The head's deviation from the identity and AdamW's moments stay in the runtime's tensors between steps. */
class OnnxHeadTraining implements HeadTraining {
  readonly #options: HeadTrainerOptions;
  readonly #session: Session;
  readonly #rows: Float32Array;
  #state: Record<"deviation" | "mean" | "variance", Tensor | HeldTensor>;
  #steps = 0;

  constructor(options: HeadTrainerOptions, session: Session, rows: Float32Array, weights: Float32Array) {
    this.#options = options;
    this.#session = session;
    this.#rows = rows;
    const d = options.dimensions;
    const identity = identityWeights(d);
    const deviation = weights.map((weight, i) => weight - (identity[i] as number));
    const zeros = () => tensor(new Float32Array(d * d), [d, d]);
    this.#state = { deviation: tensor(deviation, [d, d]), mean: zeros(), variance: zeros() };
  }

  get steps(): number {
    return this.#steps;
  }

  async step(batch: Batch, base: BaseRows): Promise<number> {
    const { dimensions: d, batchSize: n, recipe, identityPenalty } = this.#options;
    const capacity = rowCapacity(n);
    const { items, anchors, positives, negatives } = padBatch(batch, n, capacity);
    const rows = this.#rows;
    items.forEach((item, row) => {
      if (item >= 0) base.readRow(item, rows, row);
      else rows.fill(0, row * d, (row + 1) * d);
    });
    const factors = adamWFactors(this.#steps + 1, recipe.learningRate, identityPenalty);
    const feeds = {
      rows: tensor(rows, [capacity, d]),
      anchors: positions(anchors),
      positives: positions(positives),
      negatives: tensor(negatives, [n, capacity]),
      ...this.#state,
      margin: scalar(recipe.margin),
      temperature: scalar(recipe.temperature),
      stepSize: scalar(factors.stepSize),
      epsilon: scalar(factors.epsilon),
      keep: scalar(factors.keep),
    };
    const { tensors, held } = await this.#session.runHolding(feeds, HELD);
    this.release();
    const [deviation, mean, variance] = HELD.map((name) => held[name]);
    if (!deviation || !mean || !variance) throw new Error("The training step did not give all of its state");
    this.#state = { deviation, mean, variance };
    this.#steps++;
    return floats(tensors, "loss")[0] ?? Number.NaN;
  }

  async weights(): Promise<Float32Array> {
    const { deviation } = this.#state;
    const weights = identityWeights(this.#options.dimensions);
    const added = (deviation instanceof HeldTensor ? await deviation.read() : deviation).data as Float32Array;
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) + (added[i] as number);
    return weights;
  }

  release(): void {
    for (const part of Object.values(this.#state)) if (part instanceof HeldTensor) part.release();
  }
}

function scalar(value: number): Tensor {
  return tensor(Float32Array.of(value), []);
}

function positions(rows: Int32Array): Tensor {
  return { dtype: "int32", shape: [rows.length], data: rows as Int32Array<ArrayBuffer> };
}
