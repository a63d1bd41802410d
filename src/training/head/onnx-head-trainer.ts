import { HeldTensor, openSession, type Session, type Tensor } from "../../runtime/index.js";
import { freeArray } from "../../vector/free-array.js";
import type { Batch } from "../batches/batch.js";
import { floats, tensor } from "../engines/engine.js";
import { LOSSES } from "../losses/index.js";
import { adamWFactors } from "../optimizer/adam-w.js";
import type { BaseRows } from "../rows/base-rows.js";
import { identityWeights } from "./head.js";
import { type HeadTrainer, type HeadTrainerOptions, type HeadTraining, rowCapacity } from "./head-trainer.js";
import { rowsByRole } from "./rows-by-role.js";
import { STATE, stepModel, stepsModel } from "./step-graph.js";

const HELD = Object.values(STATE);

/** Bytes of rows that one run picks. */
const RUN_BYTES = 4 * 1024 * 1024;

/** Steps of one run on the CPU. Other providers make one: none was seen to keep the state of several steps on its device. */
export function stepsOfRun({ dimensions, batchSize, provider }: HeadTrainerOptions): number {
  return provider === "cpu" ? Math.max(1, Math.floor(RUN_BYTES / (4 * rowCapacity(batchSize) * dimensions))) : 1;
}

/** Trains heads on ONNX Runtime: steps are one run of one graph. */
export class OnnxHeadTrainer implements HeadTrainer {
  readonly options: HeadTrainerOptions;
  readonly #session: Session;

  private constructor(options: HeadTrainerOptions, session: Session) {
    this.options = options;
    this.#session = session;
  }

  static async open(options: HeadTrainerOptions): Promise<OnnxHeadTrainer> {
    const { dimensions, batchSize, metric, provider, threads, batchNegatives, recipe } = options;
    const loss = LOSSES[recipe.loss];
    const graph = { dimensions, batchSize, metric, loss, batchNegatives };
    const model = stepsOfRun(options) > 1 ? stepsModel(graph) : stepModel(graph);
    return new OnnxHeadTrainer(options, await openSession(model, { provider, threads, hold: HELD }));
  }

  get provider(): string {
    return this.#session.provider;
  }

  get stepsAtOnce(): number {
    return stepsOfRun(this.options);
  }

  start(weights: Float32Array): HeadTraining {
    return new OnnxHeadTraining(this.options, this.#session, weights);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

/** The head's deviation from the identity and AdamW's moments stay in the runtime's tensors between runs. */
class OnnxHeadTraining implements HeadTraining {
  readonly #options: HeadTrainerOptions;
  readonly #session: Session;
  #state: Record<keyof typeof STATE, Tensor | HeldTensor>;
  #steps = 0;

  constructor(options: HeadTrainerOptions, session: Session, weights: Float32Array) {
    this.#options = options;
    this.#session = session;
    const d = options.dimensions;
    const identity = identityWeights(d);
    const deviation = weights.map((weight, i) => weight - (identity[i] as number));
    const zeros = () => tensor(new Float32Array(d * d), [d, d]);
    this.#state = { deviation: tensor(deviation, [d, d]), mean: zeros(), variance: zeros() };
  }

  get steps(): number {
    return this.#steps;
  }

  async advance(batches: readonly Batch[], base: BaseRows): Promise<number[]> {
    const atOnce = stepsOfRun(this.#options);
    const losses: number[] = [];
    for (let first = 0; first < batches.length; first += atOnce) {
      losses.push(...(await this.#run(batches.slice(first, first + atOnce), base)));
    }
    return losses;
  }

  async weights(): Promise<Float32Array> {
    const { deviation } = this.#state;
    const read = deviation instanceof HeldTensor ? await deviation.read() : deviation;
    const weights = (read.data as Float32Array).slice();
    for (let i = 0; i < weights.length; i += this.#options.dimensions + 1) weights[i] = (weights[i] as number) + 1;
    return weights;
  }

  release(): void {
    for (const part of Object.values(this.#state)) if (part instanceof HeldTensor) part.release();
  }

  async #run(batches: readonly Batch[], base: BaseRows): Promise<Float32Array> {
    const { dimensions: d, batchSize: n, recipe, identityPenalty } = this.#options;
    const { items, negatives } = rowsByRole(batches, n);
    const { table, places } = this.#tableOf(items, base);
    const factors = batches.map((_, i) => adamWFactors(this.#steps + i + 1, recipe.learningRate, identityPenalty));
    // A model of one step has no dimension for the steps.
    const lead = stepsOfRun(this.#options) > 1 ? [batches.length] : [];
    const feeds = {
      ...this.#state,
      table: tensor(table, [table.length / d, d]),
      items: { dtype: "int32" as const, shape: [...lead, rowCapacity(n)], data: places as Int32Array<ArrayBuffer> },
      negatives: tensor(negatives, [...lead, n, rowCapacity(n)]),
      margin: scalar(recipe.margin),
      temperature: scalar(recipe.temperature),
      stepSize: tensor(
        Float32Array.from(factors, ({ stepSize }) => stepSize),
        lead,
      ),
      epsilon: tensor(
        Float32Array.from(factors, ({ epsilon }) => epsilon),
        lead,
      ),
      // Of every step the same.
      keep: scalar(factors[0]?.keep ?? 1),
    };
    const { tensors, held } = await this.#session.runHolding(feeds, HELD);
    freeArray(negatives);
    this.release();
    const [deviation, mean, variance] = HELD.map((name) => held[name]);
    if (!deviation || !mean || !variance) throw new Error("The training step did not give all of its state");
    this.#state = { deviation, mean, variance };
    this.#steps += batches.length;
    return floats(tensors, "loss");
  }

  /** Rows of base, and where in them those of the items are. A CPU is fed all that were read so far as they lie, a device a batch's own. */
  #tableOf(items: Int32Array, base: BaseRows): { table: Float32Array; places: Int32Array } {
    if (this.#options.provider === "cpu") {
      const places = base.table.places(items);
      return { table: base.table.rows, places };
    }
    const table = new Float32Array(items.length * this.#options.dimensions);
    items.forEach((item, row) => {
      if (item >= 0) base.readRow(item, table, row);
    });
    return { table, places: Int32Array.from(items.keys()) };
  }
}

function scalar(value: number): Tensor {
  return tensor(Float32Array.of(value), []);
}
