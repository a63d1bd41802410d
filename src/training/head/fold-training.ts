import { randomStream, STREAMS } from "../context.js";
import { restrictLines } from "../feedback/training-lines.js";
import { assignFolds, FOLDS } from "../gate/folds.js";
import { type Field, Judge } from "../gate/judge.js";
import { type Judgement, judgements } from "../gate/judgement.js";
import { validationField } from "../gate/samples.js";
import type { HeadContext } from "./head-context.js";
import { type TrainedHead, type TrainingContext, type TrainingPlan, trainHead } from "./training-run.js";

/** What is decided before any head is trained; the same from the same task, whichever thread decides it. */
export interface FoldSetup {
  judge: Judge;
  judged: readonly Judgement[];
  foldOf: ReadonlyMap<number, number>;
  plans: readonly TrainingPlan[];
  /** What validation ranks among. */
  field: Field;
}

export function setUpFolds(context: HeadContext): FoldSetup {
  const { task, graph, anchors, judgedBy } = context;
  const foldOf = assignFolds(graph, anchors, randomStream(task.seed, STREAMS.folds));
  return {
    judge: new Judge(context.engine, context.base, graph, context.pause),
    judged: judgements(graph, anchors, judgedBy, randomStream(task.seed, STREAMS.judgements)),
    foldOf,
    plans: foldPlans(context, foldOf),
    field: validationField(context),
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

/** What judges of the next fold: early stopping looks at it and at no other. */
export function validationOf({ judged, foldOf }: FoldSetup, fold: number): readonly Judgement[] {
  const next = (fold + 1) % FOLDS;
  return judged.filter(({ anchor }) => foldOf.get(anchor) === next);
}

/** Trains the head of one fold by one recipe, early stopping by the next fold. @throws as `trainHead` */
export function trainFold(
  context: TrainingContext & Pick<HeadContext, "trainers">,
  setup: FoldSetup,
  recipe: number,
  fold: number,
): Promise<TrainedHead> {
  const trainer = context.trainers[recipe];
  const plan = setup.plans[fold];
  if (trainer === undefined || plan === undefined) throw new Error(`there is no recipe ${recipe} or no fold ${fold}`);
  const { judge, field } = setup;
  return trainHead(context, trainer, plan, { judge, field, judgements: validationOf(setup, fold) });
}
