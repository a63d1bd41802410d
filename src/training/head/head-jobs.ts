import { STREAMS } from "../context.js";
import type { Verdict } from "../gate/judge.js";
import { type FoldSetup, validationOf } from "./fold-setup.js";
import type { HeadContext } from "./head-context.js";
import { type TrainedHead, type TrainingContext, trainHead } from "./training-run.js";
import { lookAtVectors, type WritingContext, writeVectors } from "./written-vectors.js";

/** What a thread does in one go. None needs another one's thread, only another one's result. */
export type HeadJob =
  /** Trains the head of a fold, early stopping by the next fold. */
  | { kind: "fold"; recipe: number; fold: number }
  /** Trains on all feedback. */
  | { kind: "all"; recipe: number; steps: number }
  /** Looks at what a fold holds out, or at everything that any fold does, through given weights (d x d). */
  | { kind: "look"; weights: Float32Array; fold?: number }
  /** Writes the vectors of items `from` to `to` (exclusive). */
  | { kind: "write"; from: number; to: number }
  /** Looks at judged anchors `from` to `to` (exclusive) among the vectors that the head of these weights wrote. */
  | { kind: "check"; weights: Float32Array; from: number; to: number };

export type HeadJobResult = TrainedHead | Verdict | undefined;

export type JobContext = TrainingContext & WritingContext & Pick<HeadContext, "trainers" | "graph" | "lines">;

/** @throws as `trainHead`, `reEmbed` */
export async function doJob(context: JobContext, setup: FoldSetup, job: HeadJob): Promise<HeadJobResult> {
  if (job.kind === "write") {
    await writeVectors(context, job.from, job.to);
    return undefined;
  }
  if (job.kind === "check") {
    return lookAtVectors(context, job.weights, setup.everything.judgements.slice(job.from, job.to));
  }
  if (job.kind === "look") {
    const { judge, judgingField, heldOut, everything } = setup;
    return judge.look(
      job.weights,
      judgingField,
      (job.fold === undefined ? everything : heldOut[job.fold]) ?? everything,
    );
  }
  const trainer = context.trainers[job.recipe];
  if (trainer === undefined) throw new Error(`there is no recipe ${job.recipe}`);
  if (job.kind === "all") {
    const { graph, lines } = context;
    return trainHead(context, trainer, { graph, lines, steps: job.steps, stream: STREAMS.refit });
  }
  const plan = setup.plans[job.fold];
  if (plan === undefined) throw new Error(`there is no fold ${job.fold}`);
  const { judge, validationField: field } = setup;
  return trainHead(context, trainer, plan, { judge, field, judgements: validationOf(setup, job.fold) });
}
