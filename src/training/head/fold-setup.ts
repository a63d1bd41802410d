import { randomStream, STREAMS } from "../context.js";
import { restrictLines } from "../feedback/training-lines.js";
import { assignFolds, FOLDS } from "../gate/folds.js";
import { type Field, Judge, type JudgeRequest } from "../gate/judge.js";
import { type Judgement, judgements } from "../gate/judgement.js";
import { judgingField, untouchedItems, validationField } from "../gate/samples.js";
import type { HeadContext } from "./head-context.js";
import type { TrainingPlan } from "./training-run.js";

/** What is decided before any head is trained; the same from the same task, whichever thread decides it. */
export interface FoldSetup {
  judge: Judge;
  judged: readonly Judgement[];
  foldOf: ReadonlyMap<number, number>;
  plans: readonly TrainingPlan[];
  /** What validation ranks among, and what the gate does. */
  validationField: Field;
  judgingField: Field;
  /** What the gate looks at in each fold, and all of it. */
  heldOut: readonly Required<JudgeRequest>[];
  everything: Required<JudgeRequest>;
}

export function setUpFolds(context: HeadContext): FoldSetup {
  const { task, graph, anchors, judgedBy, base } = context;
  const foldOf = assignFolds(graph, anchors, randomStream(task.seed, STREAMS.folds));
  const judged = judgements(graph, anchors, judgedBy, randomStream(task.seed, STREAMS.judgements));
  const heldOut = foldRequests(context, foldOf, judged);
  return {
    judge: new Judge(context.engine, base, graph, context.pause),
    judged,
    foldOf,
    plans: foldPlans(context, foldOf),
    validationField: validationField(context),
    judgingField: judgingField(base, task.seed),
    heldOut,
    everything: {
      judgements: heldOut.flatMap((request) => request.judgements),
      untouched: heldOut.flatMap((request) => request.untouched),
      triplets: heldOut.flatMap((request) => request.triplets),
    },
  };
}

/** Each fold trains without itself and without the next fold, its validation part, for as many epochs as allowed. */
function foldPlans(context: HeadContext, foldOf: ReadonlyMap<number, number>): TrainingPlan[] {
  return Array.from({ length: FOLDS }, (_, fold) => {
    const next = (fold + 1) % FOLDS;
    const graph = context.graph.without((item) => foldOf.get(item) === fold || foldOf.get(item) === next);
    const lines = restrictLines(context.lines, graph);
    const steps = Math.ceil((context.maximumSteps * lines.length) / context.lines.length);
    return { graph, lines, steps, stream: STREAMS.fold + fold };
  });
}

/** Each fold's anchors and triplets, and a share of the items that no feedback names. */
function foldRequests(
  context: HeadContext,
  foldOf: ReadonlyMap<number, number>,
  judged: readonly Judgement[],
): Required<JudgeRequest>[] {
  const untouched = untouchedItems(context);
  return Array.from({ length: FOLDS }, (_, fold) => {
    const isHere = (item: number) => foldOf.get(item) === fold;
    return {
      judgements: judged.filter(({ anchor }) => isHere(anchor)),
      untouched: untouched.filter((_item, i) => i % FOLDS === fold),
      triplets: context.graph.triplets.filter(([anchor]) => isHere(anchor)),
    };
  });
}

/** What judges of the next fold: early stopping looks at it and at no other. */
export function validationOf({ judged, foldOf }: FoldSetup, fold: number): readonly Judgement[] {
  const next = (fold + 1) % FOLDS;
  return judged.filter(({ anchor }) => foldOf.get(anchor) === next);
}
