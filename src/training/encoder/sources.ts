import { BatchSampler } from "../batches/batch-sampler.js";
import { plannedSteps } from "../batches/planned-steps.js";
import { randomStream } from "../context.js";
import { AugmentationSource, type BatchSource, FeedbackSource, JointSource } from "./batch-source.js";
import type { EncoderContext } from "./encoder-context.js";
import type { Known } from "./hold-out.js";

/**
 * Items of one component that stand in a batch together (P x K batches: Hermans, Beyer, Leibe 2017): encoding a row is what a step
 * costs, so each serves as anchor, as positive and as negative.
 */
const ITEMS_PER_COMPONENT = 4;

/** Random streams that batches are drawn by: see `randomStream`. */
export interface SourceStreams {
  feedback: number;
  augmentation: number;
}

/** Batches of what is known, as `source` says. */
export function sourceOf(context: EncoderContext, known: Known, streams: SourceStreams): BatchSource {
  const { options, task, miner, contents } = context;
  const { source, augmentation, batchSize } = options;
  const feedback = () => {
    const random = randomStream(task.seed, streams.feedback);
    const sampling = { batchSize, itemsPerComponent: ITEMS_PER_COMPONENT };
    return new FeedbackSource(new BatchSampler(known.graph, known.lines, miner, sampling, random), contents);
  };
  const views = (size: number) => {
    const random = randomStream(task.seed, streams.augmentation);
    return new AugmentationSource(contents, known.graph, augmentation, { items: known.items, batchSize: size, random });
  };
  if (source === "feedback") return feedback();
  if (source === "augmentation") return views(batchSize);
  return new JointSource([feedback(), views(Math.ceil(batchSize / 2))]);
}

/** Steps of `epochs` passes over what is known, at least one; 0 where nothing is known. */
export function stepsOver({ options }: EncoderContext, known: Known, source: BatchSource): number {
  return plannedSteps(options, known.lines.length || known.items.length, source.stepsPerEpoch);
}
