import type { ModelInputs, PreparedInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import { HeldTensor, openSession, type ProviderChoice, type Session, type Tensor } from "../../runtime/index.js";
import { floats, tensor } from "../engines/engine.js";
import { adamWFactors } from "../optimizer/adam-w.js";
import { lengthOf } from "./contents.js";
import { embedModel, lossModel, partModel, type StepGraphOptions, updateModel, wholeStepModel } from "./step-graph.js";
import { cutsOfLeastPadding, type ObjectiveRows, type StepRows, sortedByLength } from "./step-rows.js";

export interface EncoderTrainerOptions extends StepGraphOptions {
  inputs: ModelInputs;
  weightDecay: number;
  provider: ProviderChoice;
  threads: number;
  /** Cells (rows times their padded length) that are worked off at once; a batch of more is worked off in parts. */
  cellsAtOnce: number;
}

type Held = Tensor | HeldTensor;

/** An encoder in training: weights and AdamW's moments, in the runtime's tensors between steps. */
export interface EncoderState {
  weights: Held[];
  means: Held[];
  variances: Held[];
  steps: number;
}

/** The numbers of a state, in the order of the trained weights. */
export interface StateNumbers {
  weights: readonly Float32Array[];
  means: readonly Float32Array[];
  variances: readonly Float32Array[];
  steps: number;
}

export interface StepReport {
  loss: number;
  /** Of the gradient over all weights, before clipping. */
  gradientNorm: number;
}

/** Texts of a batch are padded to the longest of their part, and are so different in length that a second part pays. */
const PARTS_OF_TEXTS = 2;

/** Runs training steps of an encoder. One trainer serves any number of trainings, one after the other. */
export class EncoderTrainer {
  readonly options: EncoderTrainerOptions;
  readonly #encoder: Session;
  readonly #wholeParts: number;
  #whole: Session | undefined;
  #byParts: { loss: Session; part: Session; update: Session } | undefined;

  private constructor(options: EncoderTrainerOptions, encoder: Session) {
    this.options = options;
    this.#encoder = encoder;
    this.#wholeParts = options.inputs.modality === "text" ? PARTS_OF_TEXTS : 1;
  }

  /** @throws invalid_model where the encoder cannot be differentiated, naming the node */
  static async open(options: EncoderTrainerOptions): Promise<EncoderTrainer> {
    const { provider, threads } = options;
    const trainer = new EncoderTrainer(options, await openSession(embedModel(options.encoder), { provider, threads }));
    try {
      if (!options.inputs.equalLengths)
        trainer.#whole = await trainer.#open(wholeStepModel(options, trainer.#wholeParts));
    } catch (error) {
      await trainer.close();
      throw error;
    }
    return trainer;
  }

  get provider(): string {
    return this.#encoder.provider;
  }

  /** A state at the encoder's own weights. */
  start(): EncoderState {
    const { weights } = this.options.encoder.trained;
    const zeros = () => weights.map(({ start }) => new Float32Array(start.length));
    return this.restore({ weights: weights.map(({ start }) => start), means: zeros(), variances: zeros(), steps: 0 });
  }

  /** A state at given weights, as one that has made no step yet. */
  at(weights: readonly Float32Array[]): EncoderState {
    return { ...this.start(), weights: this.restore({ weights, means: [], variances: [], steps: 0 }).weights };
  }

  /** A state with given numbers. */
  restore({ weights, means, variances, steps }: StateNumbers): EncoderState {
    const shapes = this.options.encoder.trained.weights.map(({ shape }) => [...shape]);
    const tensors = (numbers: readonly Float32Array[]) => numbers.map((data, i) => tensor(data, shapes[i] ?? []));
    return { weights: tensors(weights), means: tensors(means), variances: tensors(variances), steps };
  }

  /** The numbers of a state, as copies. */
  async read({ weights, means, variances, steps }: EncoderState): Promise<StateNumbers> {
    const numbers = (tensors: Held[]) => Promise.all(tensors.map(numbersOf));
    return { weights: await numbers(weights), means: await numbers(means), variances: await numbers(variances), steps };
  }

  /**
   * One step on one batch: changes `state`, and resolves with the loss before the step.
   * @throws fine_tune_failed when loss or gradient is not finite; the state is then lost
   */
  async step(state: EncoderState, rows: StepRows, rate: number): Promise<StepReport> {
    const sorted = sortedByLength(rows);
    const lengths = sorted.inputs.map(lengthOf);
    const cuts = this.#cuts(lengths);
    const isWhole = this.#whole !== undefined && cuts.length === this.#wholeParts;
    const report = await (isWhole
      ? this.#stepWhole(state, sorted, cuts, rate)
      : this.#stepByParts(state, sorted, cuts, rate));
    if (Number.isFinite(report.loss) && Number.isFinite(report.gradientNorm)) return report;
    throw new AttuneError(
      "fine_tune_failed",
      `Step ${state.steps} of the training gave the loss ${report.loss} and a gradient of norm ${report.gradientNorm}; ` +
        `try a smaller learningRate than ${this.options.objectives[0]?.recipe.learningRate}`,
    );
  }

  /** Embeddings of some inputs (n x d), of about one length so that little is padded. */
  async embed(state: EncoderState, inputs: readonly PreparedInput[]): Promise<Float32Array> {
    const feeds = { ...this.#weightFeeds(state), ...this.#inputFeeds(inputs, 0) };
    return floats(await this.#encoder.run(feeds), "embeddings");
  }

  /** Frees the runtime's tensors of a state. */
  release({ weights, means, variances }: EncoderState): void {
    for (const each of [...weights, ...means, ...variances]) if (each instanceof HeldTensor) each.release();
  }

  async close(): Promise<void> {
    const { loss, part, update } = this.#byParts ?? {};
    for (const session of [this.#encoder, this.#whole, loss, part, update]) await session?.close();
  }

  /** Where the rows of a batch are cut into parts: as many as a whole step takes where it fits into memory, else as few as fit. */
  #cuts(lengths: readonly number[]): number[] {
    const { inputs, cellsAtOnce } = this.options;
    if (inputs.equalLengths) return runsOfEqualLength(lengths);
    if (lengths.length >= this.#wholeParts) {
      const cuts = cutsOfLeastPadding(lengths, this.#wholeParts);
      if (cellsOf(lengths, cuts) <= cellsAtOnce) return cuts;
    }
    return runsOfCells(lengths, cellsAtOnce);
  }

  async #stepWhole(state: EncoderState, rows: StepRows, cuts: readonly number[], rate: number): Promise<StepReport> {
    if (this.#whole === undefined) throw new Error("There is no session for whole steps");
    const feeds: Record<string, Held> = {
      ...this.#updateFeeds(state, rate),
      ...objectiveFeeds(rows.objectives, rows.inputs.length),
    };
    partsOf(rows.inputs, cuts).forEach((inputs, part) => {
      Object.assign(feeds, this.#inputFeeds(inputs, part));
    });
    return this.#advance(state, this.#whole, feeds);
  }

  /**
   * The same step with less memory: all rows are embedded part by part, then the loss's gradient with respect to the embeddings
   * leads back into one part after the other. It is exact, whatever the loss compares.
   * @see Gao, Zhang, Han, Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", RepL4NLP 2021
   */
  async #stepByParts(state: EncoderState, rows: StepRows, cuts: readonly number[], rate: number): Promise<StepReport> {
    this.#byParts ??= {
      loss: await this.#open(lossModel(this.options)),
      part: await this.#open(partModel(this.options.encoder)),
      update: await this.#open(updateModel(this.options)),
    };
    const { loss, part, update } = this.#byParts;
    const { dimensions: d, trained } = this.options.encoder;
    const parts = partsOf(rows.inputs, cuts);
    const embeddings = new Float32Array(rows.inputs.length * d);
    for (const [k, inputs] of parts.entries()) {
      embeddings.set(await this.embed(state, inputs), ((cuts[k] ?? 0) - inputs.length) * d);
    }
    const feeds = {
      embeddings: tensor(embeddings, [rows.inputs.length, d]),
      ...objectiveFeeds(rows.objectives, rows.inputs.length),
    };
    const lost = await loss.run(feeds);
    const cotangent = floats(lost, "cotangent");
    let gradients: Held[] = trained.weights.map(({ shape, start }) =>
      tensor(new Float32Array(start.length), [...shape]),
    );
    for (const [k, inputs] of parts.entries()) {
      const [from, to] = [(cuts[k] ?? 0) - inputs.length, cuts[k] ?? 0];
      const { held } = await part.runHolding(
        {
          ...this.#weightFeeds(state),
          ...this.#inputFeeds(inputs, 0),
          ...numbered("gradient", gradients),
          cotangent: tensor(cotangent.slice(from * d, to * d), [to - from, d]),
        },
        part.outputNames,
      );
      releaseAll(gradients);
      gradients = take(held, "nextGradient", gradients.length);
    }
    const report = await this.#advance(state, update, {
      ...this.#updateFeeds(state, rate),
      ...numbered("gradient", gradients),
    });
    releaseAll(gradients);
    return { ...report, loss: floats(lost, "loss")[0] ?? Number.NaN };
  }

  /** Runs a session that ends with AdamW's step, and puts its results in the place of the state. */
  async #advance(state: EncoderState, session: Session, feeds: Record<string, Held>): Promise<StepReport> {
    const count = state.weights.length;
    const { tensors, held } = await session.runHolding(
      feeds,
      session.outputNames.filter((name) => name.startsWith("next")),
    );
    this.release(state);
    Object.assign(state, {
      weights: take(held, "nextWeight", count),
      means: take(held, "nextMean", count),
      variances: take(held, "nextVariance", count),
      steps: state.steps + 1,
    });
    const loss = "loss" in tensors ? (floats(tensors, "loss")[0] ?? Number.NaN) : Number.NaN;
    return { loss, gradientNorm: floats(tensors, "gradientNorm")[0] ?? Number.NaN };
  }

  #open(model: Uint8Array): Promise<Session> {
    const { provider, threads } = this.options;
    return openSession(model, { provider, threads });
  }

  #weightFeeds({ weights }: EncoderState): Record<string, Held> {
    return numbered("weight", weights);
  }

  #updateFeeds(state: EncoderState, rate: number): Record<string, Held> {
    const factors = adamWFactors(state.steps + 1, rate, this.options.weightDecay);
    return {
      ...numbered("weight", state.weights),
      ...numbered("mean", state.means),
      ...numbered("variance", state.variances),
      stepSize: scalar(factors.stepSize),
      rootCorrection: scalar(factors.rootCorrection),
      keep: scalar(factors.keep),
    };
  }

  #inputFeeds(inputs: readonly PreparedInput[], part: number): Record<string, Tensor> {
    const feeds = this.options.inputs.feeds(inputs);
    return Object.fromEntries(Object.entries(feeds).map(([name, fed]) => [`part_${part}/${name}`, fed]));
  }
}

function objectiveFeeds(objectives: readonly ObjectiveRows[], rows: number): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  objectives.forEach(({ anchors, positives, negatives }, j) => {
    const count = anchors.length;
    feeds[`anchors_${j}`] = { dtype: "int32", shape: [count], data: anchors as Int32Array<ArrayBuffer> };
    feeds[`positives_${j}`] = { dtype: "int32", shape: [count], data: positives as Int32Array<ArrayBuffer> };
    feeds[`negatives_${j}`] = tensor(negatives, [count, rows]);
  });
  return feeds;
}

function partsOf(inputs: readonly PreparedInput[], cuts: readonly number[]): PreparedInput[][] {
  return cuts.map((end, k) => inputs.slice(cuts[k - 1] ?? 0, end));
}

/** Padded cells of ascending lengths cut at these ends. */
function cellsOf(lengths: readonly number[], cuts: readonly number[]): number {
  return cuts.reduce((sum, end, k) => sum + (end - (cuts[k - 1] ?? 0)) * (lengths[end - 1] ?? 0), 0);
}

/** As many rows a run as take at most `cells` (at least one row). */
function runsOfCells(lengths: readonly number[], cells: number): number[] {
  const ends: number[] = [];
  let start = 0;
  for (let end = 1; end <= lengths.length; end++) {
    const next = lengths[end];
    if (next !== undefined && (end + 1 - start) * next <= cells) continue;
    ends.push(end);
    start = end;
  }
  return ends;
}

function runsOfEqualLength(lengths: readonly number[]): number[] {
  return lengths.flatMap((length, i) => (lengths[i + 1] === length ? [] : [i + 1]));
}

function numbered(name: string, tensors: readonly Held[]): Record<string, Held> {
  return Object.fromEntries(tensors.map((each, i) => [`${name}_${i}`, each]));
}

function take(held: Record<string, HeldTensor>, name: string, count: number): HeldTensor[] {
  return Array.from({ length: count }, (_, i) => {
    const each = held[`${name}_${i}`];
    if (each === undefined) throw new Error(`The training step gave no ${name}_${i}`);
    return each;
  });
}

function releaseAll(tensors: readonly Held[]): void {
  for (const each of tensors) if (each instanceof HeldTensor) each.release();
}

async function numbersOf(held: Held): Promise<Float32Array> {
  const { data } = held instanceof HeldTensor ? await held.read() : held;
  return (data as Float32Array).slice();
}

function scalar(value: number): Tensor {
  return tensor(Float32Array.of(value), []);
}
