import { STREAMS } from "../context.js";
import type { Verdict } from "../gate/judge.js";
import { type FoldSetup, validationOf } from "./fold-setup.js";
import type { HeadContext } from "./head-context.js";
import { type TrainedHead, type TrainingContext, trainHead } from "./training-run.js";

/** What a thread does in one go. None needs another one's thread, only another one's result. */
export type HeadJob =
  /** Trains the head of a fold, early stopping by the next fold. */
  | { kind: "fold"; recipe: number; fold: number }
  /** Trains on all feedback. */
  | { kind: "all"; recipe: number; steps: number }
  /** Looks at what a fold holds out, or at everything that any fold does, through given weights (d x d). */
  | { kind: "look"; weights: Float32Array; fold?: number };

export type HeadJobResult = TrainedHead | Verdict;

/** @throws as `trainHead` */
export function doJob(
  context: TrainingContext & Pick<HeadContext, "trainers" | "graph" | "lines">,
  setup: FoldSetup,
  job: HeadJob,
): Promise<HeadJobResult> {
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
