import { HeldTensor, openSession, type Session, type Tensor } from "../../runtime/index.js";
import { type BatchLine, batchColumns, negativeMask } from "../batches/batch-sampler.js";
import { type EngineOptions, floats, tensor } from "../engines/engine.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import { tripletLoss } from "../losses/triplet.js";
import { adamWFactors } from "../optimizer/adam-w.js";
import type { BaseRows } from "../rows/base-rows.js";
import { identityWeights } from "./head.js";
import { stepModel } from "./step-graph.js";

export interface HeadTrainerOptions extends EngineOptions {
  batchSize: number;
  learningRate: number;
  /** In units of the prepared rows. */
  margin: number;
  /** AdamW's decay of the deviation from the identity. */
  identityPenalty: number;
}

/** A head in training: its deviation from the identity and AdamW's moments stay in the runtime's tensors between steps. */
export interface HeadState {
  deviation: Tensor | HeldTensor;
  mean: Tensor | HeldTensor;
  variance: Tensor | HeldTensor;
  steps: number;
}

const HELD = ["nextDeviation", "nextMean", "nextVariance"] as const;

/** Runs training steps of a linear head. One session serves any number of trainings, one after the other. */
export class HeadTrainer {
  readonly options: HeadTrainerOptions;
  readonly #session: Session;
  /** The rows of the batch at hand: made once, since a fresh block for every step keeps the garbage collector busy. */
  readonly #rows: Float32Array;

  private constructor(options: HeadTrainerOptions, session: Session) {
    this.options = options;
    this.#session = session;
    this.#rows = new Float32Array(3 * options.batchSize * options.dimensions);
  }

  static async open(options: HeadTrainerOptions): Promise<HeadTrainer> {
    const { dimensions, batchSize, metric, provider, threads } = options;
    const model = stepModel({ dimensions, batchSize, metric, loss: tripletLoss });
    return new HeadTrainer(options, await openSession(model, { provider, threads }));
  }

  /** A head that starts at `weights` (d x d). @default the identity */
  start(weights?: Float32Array): HeadState {
    const d = this.options.dimensions;
    const zeros = () => tensor(new Float32Array(d * d), [d, d]);
    if (weights === undefined) return { deviation: zeros(), mean: zeros(), variance: zeros(), steps: 0 };
    const identity = identityWeights(d);
    const deviation = weights.map((weight, i) => weight - (identity[i] as number));
    return { deviation: tensor(deviation, [d, d]), mean: zeros(), variance: zeros(), steps: 0 };
  }

  /** The weights (d x d) of a head, as a copy. */
  async weights({ deviation }: HeadState): Promise<Float32Array> {
    const weights = identityWeights(this.options.dimensions);
    const added = (deviation instanceof HeldTensor ? await deviation.read() : deviation).data as Float32Array;
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) + (added[i] as number);
    return weights;
  }

  /** One step on one batch: changes `state`, and resolves with the loss before the step. */
  async step(state: HeadState, graph: FeedbackGraph, base: BaseRows, batch: readonly BatchLine[]): Promise<number> {
    const { dimensions: d, batchSize: n, learningRate, identityPenalty, margin } = this.options;
    const columns = batchColumns(batch, n);
    const rows = this.#rows;
    columns.forEach((item, column) => {
      if (item >= 0) base.readRow(item, rows, column);
      else rows.fill(0, column * d, (column + 1) * d);
    });
    const factors = adamWFactors(state.steps + 1, learningRate, identityPenalty);
    const feeds = {
      rows: tensor(rows, [3 * n, d]),
      negatives: tensor(negativeMask(graph, batch, n), [n, 3 * n]),
      deviation: state.deviation,
      mean: state.mean,
      variance: state.variance,
      margin: scalar(margin),
      stepSize: scalar(factors.stepSize),
      rootCorrection: scalar(factors.rootCorrection),
      keep: scalar(factors.keep),
    };
    const { tensors, held } = await this.#session.runHolding(feeds, HELD);
    this.release(state);
    const [deviation, mean, variance] = HELD.map((name) => held[name]);
    if (!deviation || !mean || !variance) throw new Error("The training step did not give all of its state");
    Object.assign(state, { deviation, mean, variance, steps: state.steps + 1 });
    return floats(tensors, "loss")[0] ?? Number.NaN;
  }

  /** Frees the runtime's tensors of a head. */
  release(state: HeadState): void {
    for (const part of [state.deviation, state.mean, state.variance]) if (part instanceof HeldTensor) part.release();
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

function scalar(value: number): Tensor {
  return tensor(Float32Array.of(value), []);
}
