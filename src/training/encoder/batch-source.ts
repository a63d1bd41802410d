import { Random } from "../../vector/random.js";
import type { BatchSampler } from "../batches/batch-sampler.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { AugmentationOptions } from "../task/options.js";
import { type Contents, lengthOf } from "./contents.js";
import type { ObjectiveRows, StepRows } from "./step-rows.js";

/** Gives one batch after the other, the same ones for the same random numbers. */
export interface BatchSource {
  /** Batches, and a fraction of one, that show everything once. */
  readonly stepsPerEpoch: number;
  next(): Promise<StepRows>;
  /** The lengths of the rows of the next batch, or nearly so: a view of a text may be shorter. */
  nextLengths(): Promise<number[]>;
  /** Leaves batches out, as a training does that goes on from a checkpoint. */
  skip(batches: number): void;
}

/** Batches of what people said. */
export class FeedbackSource implements BatchSource {
  constructor(
    private readonly sampler: BatchSampler,
    private readonly contents: Contents,
  ) {}

  get stepsPerEpoch(): number {
    return this.sampler.stepsPerEpoch;
  }

  async next(): Promise<StepRows> {
    const { items, ...objective } = this.sampler.next();
    return { inputs: await this.contents.prepare(items), objectives: [objective] };
  }

  async nextLengths(): Promise<number[]> {
    return (await this.contents.prepare(this.sampler.next().items)).map(lengthOf);
  }

  skip(batches: number): void {
    for (let i = 0; i < batches; i++) this.sampler.next();
  }
}

/**
 * Batches of items and two views of each: the first is the anchor, the second its positive, and both views of every other item are
 * negatives, unless feedback says that the two items are similar. Each epoch is the items in a new random order.
 * @see Chen, Kornblith, Norouzi, Hinton, "SimCLR", ICML 2020
 */
export class AugmentationSource implements BatchSource {
  readonly #items: readonly number[];
  readonly #batchSize: number;
  readonly #random: Random;
  #queue: number[] = [];

  constructor(
    private readonly contents: Contents,
    private readonly graph: FeedbackGraph,
    private readonly options: AugmentationOptions,
    { items, batchSize, random }: { items: readonly number[]; batchSize: number; random: Random },
  ) {
    this.#items = items;
    this.#batchSize = Math.min(batchSize, items.length);
    this.#random = random;
  }

  get stepsPerEpoch(): number {
    return this.#items.length / Math.max(1, this.#batchSize);
  }

  async next(): Promise<StepRows> {
    const { items, seed } = this.#draw();
    const random = new Random(seed);
    const views = [...items, ...items];
    const inputs = [];
    for (const item of views) inputs.push(await this.contents.augment(item, this.options, random));
    const n = items.length;
    const negatives = new Float32Array(n * 2 * n);
    items.forEach((anchor, row) => {
      for (const [column, item] of views.entries()) {
        negatives[row * 2 * n + column] = this.graph.isKnownSimilar(anchor, item) ? 0 : 1;
      }
    });
    const anchors = Int32Array.from(items, (_, row) => row);
    return { inputs, objectives: [{ anchors, positives: anchors.map((row) => n + row), negatives }] };
  }

  async nextLengths(): Promise<number[]> {
    const lengths = (await this.contents.prepare(this.#draw().items)).map(lengthOf);
    return [...lengths, ...lengths];
  }

  skip(batches: number): void {
    for (let i = 0; i < batches; i++) this.#draw();
  }

  /** The items of a batch, and what its views are drawn by. The last items of an epoch that make no batch are left out. */
  #draw(): { items: number[]; seed: number } {
    if (this.#queue.length < this.#batchSize) this.#queue = this.#random.shuffle([...this.#items]);
    return { items: this.#queue.splice(0, this.#batchSize), seed: this.#random.uint32() };
  }
}

/** Batches of several sources side by side; an epoch is one of the first. */
export class JointSource implements BatchSource {
  constructor(private readonly sources: readonly [BatchSource, ...BatchSource[]]) {}

  get stepsPerEpoch(): number {
    return this.sources[0].stepsPerEpoch;
  }

  async next(): Promise<StepRows> {
    const batches: StepRows[] = [];
    for (const source of this.sources) batches.push(await source.next());
    const inputs = batches.flatMap((batch) => batch.inputs);
    let first = 0;
    const objectives = batches.flatMap((batch) => {
      const start = first;
      first += batch.inputs.length;
      return batch.objectives.map((objective) => moved(objective, start, batch.inputs.length, inputs.length));
    });
    return { inputs, objectives };
  }

  async nextLengths(): Promise<number[]> {
    const lengths: number[] = [];
    for (const source of this.sources) lengths.push(...(await source.nextLengths()));
    return lengths;
  }

  skip(batches: number): void {
    for (const source of this.sources) source.skip(batches);
  }
}

/** An objective whose `width` rows stand from row `start` on among `total`. */
function moved(objective: ObjectiveRows, start: number, width: number, total: number): ObjectiveRows {
  const { anchors, positives, negatives } = objective;
  const wide = new Float32Array(anchors.length * total);
  for (let i = 0; i < anchors.length; i++) wide.set(negatives.subarray(i * width, (i + 1) * width), i * total + start);
  return {
    anchors: anchors.map((row) => row + start),
    positives: positives.map((row) => row + start),
    negatives: wide,
  };
}
