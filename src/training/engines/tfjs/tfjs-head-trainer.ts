import type { Scalar, Tensor } from "@tensorflow/tfjs";
import type { Batch } from "../../batches/batch.js";
import { identityWeights } from "../../head/head.js";
import type { HeadTrainer, HeadTrainerOptions, HeadTraining } from "../../head/head-trainer.js";
import { batchLoss, LOSSES } from "../../losses/index.js";
import { type AdamWState, adamWFactors, adamWStep } from "../../optimizer/adam-w.js";
import type { BaseRows } from "../../rows/base-rows.js";
import { type OpenTensorflow, openTensorflow, type Tensorflow } from "./open-tensorflow.js";
import { tensorflowOperations } from "./tensorflow-operations.js";

/** Trains heads on TensorFlow.js: the losses and the optimizer of ONNX Runtime's trainer, operation by operation. */
export class TfjsHeadTrainer implements HeadTrainer {
  readonly options: HeadTrainerOptions;
  readonly provider: OpenTensorflow["backend"];
  readonly stepsAtOnce = 1;
  readonly #tf: Tensorflow;

  private constructor(options: HeadTrainerOptions, { tf, backend }: OpenTensorflow) {
    this.options = options;
    this.provider = backend;
    this.#tf = tf;
  }

  /** @throws engine_unavailable */
  static async open(options: HeadTrainerOptions): Promise<TfjsHeadTrainer> {
    return new TfjsHeadTrainer(options, await openTensorflow());
  }

  start(weights: Float32Array): HeadTraining {
    return new TfjsHeadTraining(this.options, this.#tf, weights);
  }

  /** TensorFlow.js itself stays loaded until the process ends. */
  async close(): Promise<void> {}
}

/** The head's deviation from the identity and AdamW's moments stay in TensorFlow's memory between steps. */
class TfjsHeadTraining implements HeadTraining {
  readonly #options: HeadTrainerOptions;
  readonly #tf: Tensorflow;
  #state: AdamWState<Tensor>;
  #steps = 0;

  constructor(options: HeadTrainerOptions, tf: Tensorflow, weights: Float32Array) {
    this.#options = options;
    this.#tf = tf;
    const d = options.dimensions;
    const identity = identityWeights(d);
    const deviation = weights.map((weight, i) => weight - (identity[i] as number));
    this.#state = { parameter: tf.tensor2d(deviation, [d, d]), mean: tf.zeros([d, d]), variance: tf.zeros([d, d]) };
  }

  get steps(): number {
    return this.#steps;
  }

  async advance(batches: readonly Batch[], base: BaseRows): Promise<number[]> {
    const losses: number[] = [];
    for (const batch of batches) losses.push(await this.#step(batch, base));
    return losses;
  }

  async weights(): Promise<Float32Array> {
    const weights = identityWeights(this.#options.dimensions);
    const added = await this.#state.parameter.data();
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) + (added[i] as number);
    return weights;
  }

  release(): void {
    this.#tf.dispose({ ...this.#state });
  }

  async #step(batch: Batch, base: BaseRows): Promise<number> {
    const tf = this.#tf;
    const { recipe, identityPenalty } = this.#options;
    const factors = adamWFactors(this.#steps + 1, recipe.learningRate, identityPenalty);
    const { loss, ...next } = tf.tidy(() => {
      const { value, grad } = tf.valueAndGrad(this.#lossOn(batch, base))(this.#state.parameter);
      const scalars = {
        stepSize: tf.scalar(factors.stepSize),
        epsilon: tf.scalar(factors.epsilon),
        keep: tf.scalar(factors.keep),
      };
      return { loss: value, ...adamWStep<Tensor>(tensorflowOperations(tf), this.#state, grad, scalars) };
    });
    this.release();
    this.#state = next;
    this.#steps++;
    const [number = Number.NaN] = await loss.data();
    loss.dispose();
    return number;
  }

  /** The loss of a batch as a function of the deviation. */
  #lossOn({ items, anchors, positives, negatives }: Batch, base: BaseRows): (deviation: Tensor) => Scalar {
    const tf = this.#tf;
    const { dimensions, metric, recipe, batchNegatives } = this.#options;
    const data = new Float32Array(items.length * dimensions);
    items.forEach((item, row) => {
      if (item >= 0) base.readRow(item, data, row);
    });
    const ops = tensorflowOperations(tf);
    const rows: Tensor = tf.tensor2d(data, [items.length, dimensions]);
    const batch = {
      anchors: tf.tensor1d(anchors, "int32"),
      positives: tf.tensor1d(positives, "int32"),
      negatives: tf.tensor2d(negatives, [anchors.length, items.length]),
    };
    const settings = {
      metric,
      margin: tf.scalar(recipe.margin),
      temperature: tf.scalar(recipe.temperature),
      batchNegatives,
    };
    return (deviation) => {
      const embedded = ops.add(rows, ops.matMul(rows, deviation));
      return batchLoss<Tensor>(ops, LOSSES[recipe.loss], { rows: embedded, ...batch }, settings).asScalar();
    };
  }
}
