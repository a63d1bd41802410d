import type { ModelInputs, PreparedInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import { encodeModel, type GraphBuilder } from "../../onnx/index.js";
import { openSession, type ProviderChoice, type Session, type Tensor } from "../../runtime/index.js";
import { floats, tensor } from "../engines/engine.js";
import { adamWFactors } from "../optimizer/adam-w.js";
import { type BatchCuts, cutBatch, shapesOf } from "./batch-cuts.js";
import { lengthOf } from "./contents.js";
import { type EncoderState, type Fed, numbered, release, taken } from "./encoder-state.js";
import { embedGraph, lossGraph, partGraph, type StepGraphOptions, updateGraph, wholeStepGraph } from "./step-graph.js";
import { StepMemory } from "./step-memory.js";
import { type ObjectiveRows, type StepRows, sortedByLength } from "./step-rows.js";

export interface EncoderTrainerOptions extends StepGraphOptions {
  inputs: ModelInputs;
  weightDecay: number;
  provider: ProviderChoice;
  threads: number;
  /** Bytes that a step may take beside what the process holds before it. @default any number */
  memoryBytes?: number;
}

export interface StepReport {
  loss: number;
  /** Of the gradient over all weights, before clipping. */
  gradientNorm: number;
}

/** Lengths of texts differ so much that padding them in three parts takes a third of the time of padding them all alike. */
const PARTS_OF_TEXTS = 3;

/** Runs training steps of an encoder. One trainer serves any number of trainings, one after the other. */
export class EncoderTrainer {
  readonly options: EncoderTrainerOptions;
  readonly memory: StepMemory;
  readonly #encoder: Session;
  readonly #wholeParts: number;
  #whole: Session | undefined;
  #byParts: Promise<{ loss: Session; part: Session; update: Session }> | undefined;

  private constructor(options: EncoderTrainerOptions, encoder: Session, memory: StepMemory, wholeParts: number) {
    this.options = options;
    this.memory = memory;
    this.#encoder = encoder;
    this.#wholeParts = wholeParts;
  }

  /** @throws invalid_model where the encoder cannot be differentiated, naming the node */
  static async open(options: EncoderTrainerOptions): Promise<EncoderTrainer> {
    const { inputs, encoder } = options;
    const wholeParts = inputs.equalLengths ? 0 : inputs.modality === "text" ? PARTS_OF_TEXTS : 1;
    const embed = embedGraph(encoder);
    const whole = wholeParts > 0 ? wholeStepGraph(options, wholeParts) : undefined;
    const memory = new StepMemory(options, embed, whole);
    const trainer = new EncoderTrainer(options, await open(embed, options), memory, wholeParts);
    try {
      if (whole !== undefined) trainer.#whole = await open(whole, options);
    } catch (error) {
      await trainer.close();
      throw error;
    }
    return trainer;
  }

  get provider(): string {
    return this.#encoder.provider;
  }

  /**
   * One step on one batch at a rate: frees `state`, and gives the next with the loss before the step.
   * @throws fine_tune_failed when loss or gradient is not finite
   */
  async step(state: EncoderState, rows: StepRows, rate: number): Promise<{ state: EncoderState; report: StepReport }> {
    const sorted = sortedByLength(rows);
    const { whole, ends } = this.cut(sorted.inputs.map(lengthOf));
    const result = whole
      ? await this.#stepWhole(state, sorted, ends, rate)
      : await this.#stepByParts(state, sorted, ends, rate);
    const { loss, gradientNorm } = result.report;
    if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return result;
    release(result.state.weights, result.state.means, result.state.variances);
    throw new AttuneError(
      "fine_tune_failed",
      `The training diverged at step ${state.steps + 1}: its loss is ${loss}, the norm of its gradient ${gradientNorm}. ` +
        `Use a smaller learningRate than ${this.options.objectives[0]?.recipe.learningRate}`,
    );
  }

  /** Embeddings of some inputs (n x d), best of about one length so that little is padded. */
  async embed(state: EncoderState, inputs: readonly PreparedInput[]): Promise<Float32Array> {
    const feeds = { ...numbered("weight", state.weights), ...this.#inputFeeds(inputs, 0) };
    return floats(await this.#encoder.run(feeds), "embeddings");
  }

  /** How a batch of rows of these ascending lengths is worked off. */
  cut(lengths: readonly number[]): BatchCuts {
    const { inputs, memoryBytes = Number.POSITIVE_INFINITY } = this.options;
    return cutBatch(lengths, {
      wholeParts: this.#wholeParts,
      equalLengths: inputs.equalLengths,
      // Where weights are most of it, parts take no less.
      fitsWhole: (parts) => {
        const bytes = this.memory.whole(parts);
        return bytes <= memoryBytes || bytes <= this.memory.byParts([{ rows: 1, tokens: lengths.at(-1) ?? 1 }]);
      },
      fitsPart: (part) => this.memory.byParts([part]) <= memoryBytes,
    });
  }

  /** Bytes that a step on rows of these ascending lengths takes beside what the process holds before it. */
  bytesOf(lengths: readonly number[]): number {
    const { whole, ends } = this.cut(lengths);
    const shapes = shapesOf(lengths, ends);
    return whole ? this.memory.whole(shapes) : this.memory.byParts(shapes);
  }

  async close(): Promise<void> {
    const byParts = await this.#byParts;
    const sessions = [this.#encoder, this.#whole, byParts?.loss, byParts?.part, byParts?.update];
    for (const session of sessions) await session?.close();
  }

  async #stepWhole(state: EncoderState, rows: StepRows, ends: readonly number[], rate: number) {
    if (this.#whole === undefined) throw new Error("There is no session for whole steps");
    const parts = partsOf(rows.inputs, ends).map((inputs, part) => this.#inputFeeds(inputs, part));
    const feeds = Object.assign({}, this.#updateFeeds(state, rate), objectiveFeeds(rows), ...parts);
    return this.#advance(state, this.#whole, feeds);
  }

  /**
   * The same step with less memory: all rows are embedded part by part, then the loss's gradient with respect to the embeddings
   * leads back into one part after the other. It is exact, whatever the loss compares.
   * @see Gao, Zhang, Han, Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", RepL4NLP 2021
   */
  async #stepByParts(state: EncoderState, rows: StepRows, ends: readonly number[], rate: number) {
    this.#byParts ??= this.#openByParts();
    const { loss, part, update } = await this.#byParts;
    const { dimensions: d, trained } = this.options.encoder;
    const count = rows.inputs.length;
    const parts = partsOf(rows.inputs, ends);
    const embeddings = new Float32Array(count * d);
    for (const [k, inputs] of parts.entries()) {
      embeddings.set(await this.embed(state, inputs), (ends[k - 1] ?? 0) * d);
    }
    const lost = await loss.run({ embeddings: tensor(embeddings, [count, d]), ...objectiveFeeds(rows) });
    const cotangent = floats(lost, "cotangent");
    let gradients: Fed[] = trained.weights.map(({ shape, start }) =>
      tensor(new Float32Array(start.length), [...shape]),
    );
    for (const [k, inputs] of parts.entries()) {
      const own = cotangent.slice((ends[k - 1] ?? 0) * d, (ends[k] ?? 0) * d);
      const feeds = {
        ...numbered("weight", state.weights),
        ...this.#inputFeeds(inputs, 0),
        ...numbered("gradient", gradients),
        cotangent: tensor(own, [inputs.length, d]),
      };
      const { held } = await part.runHolding(feeds, part.outputNames);
      release(gradients);
      gradients = taken(held, "nextGradient", gradients.length);
    }
    const feeds = { ...this.#updateFeeds(state, rate), ...numbered("gradient", gradients) };
    const { state: next, report } = await this.#advance(state, update, feeds);
    release(gradients);
    return { state: next, report: { ...report, loss: floats(lost, "loss")[0] ?? Number.NaN } };
  }

  async #openByParts() {
    const { options } = this;
    return {
      loss: await open(lossGraph(options), options),
      part: await open(partGraph(options.encoder), options),
      update: await open(updateGraph(options), options),
    };
  }

  /** Runs a session that ends with AdamW's step, and frees the state that it started from. */
  async #advance(state: EncoderState, session: Session, feeds: Record<string, Fed>) {
    const { tensors, held } = await session.runHolding(feeds, session.outputNames.filter(isState));
    release(state.weights, state.means, state.variances);
    const count = state.weights.length;
    const next: EncoderState = {
      weights: taken(held, "nextWeight", count),
      means: taken(held, "nextMean", count),
      variances: taken(held, "nextVariance", count),
      steps: state.steps + 1,
    };
    const scalarOf = (name: string) => (name in tensors ? (floats(tensors, name)[0] ?? Number.NaN) : Number.NaN);
    return { state: next, report: { loss: scalarOf("loss"), gradientNorm: scalarOf("gradientNorm") } };
  }

  #updateFeeds(state: EncoderState, rate: number): Record<string, Fed> {
    const { stepSize, epsilon, keep } = adamWFactors(state.steps + 1, rate, this.options.weightDecay);
    return {
      ...numbered("weight", state.weights),
      ...numbered("mean", state.means),
      ...numbered("variance", state.variances),
      stepSize: scalar(stepSize),
      epsilon: scalar(epsilon),
      keep: scalar(keep),
    };
  }

  #inputFeeds(inputs: readonly PreparedInput[], part: number): Record<string, Tensor> {
    const feeds = Object.entries(this.options.inputs.feeds(inputs));
    return Object.fromEntries(feeds.map(([name, fed]) => [`part_${part}/${name}`, fed]));
  }
}

function open(graph: GraphBuilder, { provider, threads }: EncoderTrainerOptions): Promise<Session> {
  const model = graph.model();
  const hold = (model.graph?.output ?? []).flatMap(({ name = "" }) => (isState(name) ? [name] : []));
  return openSession(encodeModel(model), { provider, threads, hold, planMemory: false });
}

/** Outputs that the next run is fed with. */
function isState(output: string): boolean {
  return output.startsWith("next");
}

function objectiveFeeds({ objectives, inputs }: StepRows): Record<string, Tensor> {
  return Object.assign({}, ...objectives.map((objective, j) => feedsOf(objective, j, inputs.length)));
}

function feedsOf({ anchors, positives, negatives }: ObjectiveRows, j: number, rows: number): Record<string, Tensor> {
  const positions = (data: Int32Array): Tensor => ({
    dtype: "int32",
    shape: [data.length],
    data: data as Int32Array<ArrayBuffer>,
  });
  return {
    [`anchors_${j}`]: positions(anchors),
    [`positives_${j}`]: positions(positives),
    [`negatives_${j}`]: tensor(negatives, [anchors.length, rows]),
  };
}

function partsOf(inputs: readonly PreparedInput[], ends: readonly number[]): PreparedInput[][] {
  return ends.map((end, k) => inputs.slice(ends[k - 1] ?? 0, end));
}

function scalar(value: number): Tensor {
  return tensor(Float32Array.of(value), []);
}
