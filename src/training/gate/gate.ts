import { randomStream, STREAMS } from "../context.js";
import { restrictLines } from "../feedback/training-lines.js";
import type { HeadContext } from "../head/head-context.js";
import type { HeadTrainer } from "../head/head-trainer.js";
import { type TrainedHead, type TrainingPlan, trainHead } from "../head/training-run.js";
import type { FineTuneResult, LossPoint } from "../task/fine-tune-task.js";
import { type Decision, decide, type Looks } from "./decision.js";
import { bestTogether } from "./early-stopping.js";
import { assignFolds, FOLDS } from "./folds.js";
import { Judge, type JudgeRequest, type Verdict } from "./judge.js";
import { type Judgement, judgements } from "./judgement.js";
import { judgingField, untouchedItems, validationField } from "./samples.js";

export interface GateResult extends Decision {
  /** Of the recipe that does best on all validation parts together: what to train on all feedback with. */
  trainer: HeadTrainer;
  /** Every recipe tried, where there are several. */
  tried?: FineTuneResult["tried"];
  /** Steps on all feedback that make as many passes as each fold's early stopping chose. */
  foldSteps: number[];
  /** The same for all folds together: how long to train on all feedback. */
  steps: number;
  /** Of the first fold. */
  lossCurve: LossPoint[];
  /** All judged anchors and their ranks under the active head. */
  judgements: readonly Judgement[];
  ranksBefore: number[][];
  trainingMs: number;
  evaluatingMs: number;
}

/** What is decided before any head is trained. */
interface FoldSetup {
  judge: Judge;
  judged: readonly Judgement[];
  foldOf: ReadonlyMap<number, number>;
  plans: readonly TrainingPlan[];
}

/** One recipe, trained in every fold. */
interface Trial {
  trainer: HeadTrainer;
  heads: TrainedHead[];
  /** Share of the planned steps at which the folds together do best, and the mean gain there, on the validation parts. */
  share: number;
  gain: number;
}

/**
 * Judges whether training on this feedback helps, before anything is built on it: five heads, each trained without one fold
 * of the feedback and judged on that fold by the log-rank of the positives among all items, or many of them (`judgingField`); the anchors
 * pooled; the one-sided 95% lower bound of the mean gain over the active head must be above `minGain`.
 *
 * Where several recipes are tried, every fold trains each of them and takes the one that its own validation part likes
 * best; so a fold is judged by a head that neither was trained nor chosen with it, exactly as its number of steps is chosen. What
 * is judged is the whole procedure, choice included. All validation parts together then choose the recipe of the final head, on
 * more feedback than any fold had.
 */
export async function runGate(context: HeadContext): Promise<GateResult> {
  const { meter, trainers, task, options, judgedBy, graph } = context;
  const setup = setUpFolds(context);
  const startedAt = performance.now();
  const perRecipe = setup.plans.reduce((sum, plan) => sum + plan.steps, 0);
  meter.begin("training", trainers.length * perRecipe + context.maximumSteps, "steps");
  const trials: Trial[] = [];
  for (const trainer of trainers) trials.push(await tryRecipe(context, setup, trainer));
  const best = trials.reduce((leader, trial) => (trial.gain > leader.gain ? trial : leader));
  const heads = setup.plans.map((_, fold) => bestHead(trials, fold));
  const trainedAt = performance.now();
  const looks = await judgeFolds(context, setup, heads);
  return {
    ...decide(looks, graph, { ...options, judgedBy, seed: task.seed }),
    trainer: best.trainer,
    ...(trials.length > 1 && { tried: trials.map(reportTrial) }),
    foldSteps: heads.map((head, fold) => stepsOnAll(head.steps, setup.plans[fold], context)),
    steps: Math.round(context.maximumSteps * best.share),
    lossCurve: best.heads[0]?.curve ?? [],
    judgements: looks.judgements,
    ranksBefore: looks.before.ranks,
    trainingMs: trainedAt - startedAt,
    evaluatingMs: performance.now() - trainedAt,
  };
}

function setUpFolds(context: HeadContext): FoldSetup {
  const { task, graph, anchors, judgedBy } = context;
  const foldOf = assignFolds(graph, anchors, randomStream(task.seed, STREAMS.folds));
  return {
    judge: new Judge(context.engine, context.base, graph, context.pause),
    judged: judgements(graph, anchors, judgedBy, randomStream(task.seed, STREAMS.judgements)),
    foldOf,
    plans: foldPlans(context, foldOf),
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

/** More feedback bears, and needs, more steps: the same number of passes. */
function stepsOnAll(steps: number, plan: TrainingPlan | undefined, context: HeadContext): number {
  if (plan === undefined || plan.lines.length === 0) return 0;
  return Math.min(context.maximumSteps, Math.round((steps * context.lines.length) / plan.lines.length));
}

/** One head a fold, early stopping by the next fold. */
async function tryRecipe(context: HeadContext, setup: FoldSetup, trainer: HeadTrainer): Promise<Trial> {
  const { judge, judged, foldOf, plans } = setup;
  const field = validationField(context);
  const heads: TrainedHead[] = [];
  const curves = [];
  for (const [fold, plan] of plans.entries()) {
    const next = (fold + 1) % FOLDS;
    const validation = { judge, field, judgements: judged.filter(({ anchor }) => foldOf.get(anchor) === next) };
    const head = await trainHead(context, trainer, plan, validation);
    heads.push(head);
    curves.push({ curve: head.curve, plannedSteps: plan.steps, anchors: validation.judgements.length });
  }
  return { trainer, heads, ...bestTogether(curves) };
}

/** The head that a fold's own validation part likes best; the first of several that it likes alike. */
function bestHead(trials: readonly Trial[], fold: number): TrainedHead {
  const heads = trials.flatMap((trial) => trial.heads[fold] ?? []);
  return heads.reduce((leader, head) => (head.gain > leader.gain ? head : leader));
}

function reportTrial({ trainer, gain }: Trial) {
  const { loss, learningRate } = trainer.options.recipe;
  return { loss, learningRate, validation: gain };
}

/** Looks at every held-out anchor through the active head and through the head that did not see it. */
async function judgeFolds(
  context: HeadContext,
  { judge, judged, foldOf }: FoldSetup,
  heads: readonly TrainedHead[],
): Promise<Looks> {
  const { base, graph, meter, task } = context;
  const field = judgingField(base, task.seed);
  const untouched = untouchedItems(context);
  const requests = heads.map((_, fold): Required<JudgeRequest> => {
    const isHere = (item: number) => foldOf.get(item) === fold;
    return {
      judgements: judged.filter(({ anchor }) => isHere(anchor)),
      untouched: untouched.filter((_item, i) => i % FOLDS === fold),
      triplets: graph.triplets.filter(([anchor]) => isHere(anchor)),
    };
  });
  const rows = field.rows.count;
  meter.begin("evaluating", (heads.length + 1) * rows, "rows");
  const all = {
    judgements: requests.flatMap((request) => request.judgements),
    untouched: requests.flatMap((request) => request.untouched),
    triplets: requests.flatMap((request) => request.triplets),
  };
  const before = await judge.look(context.active, field, all);
  meter.advance(rows);
  const after: Verdict = { ranks: [], neighbours: [], triplets: [] };
  for (const [fold, head] of heads.entries()) {
    const verdict = await judge.look(head.weights, field, requests[fold] ?? { judgements: [] });
    after.ranks.push(...verdict.ranks);
    after.neighbours.push(...verdict.neighbours);
    after.triplets.push(...verdict.triplets);
    meter.advance(rows);
  }
  return { judgements: all.judgements, before, after, rankedAmong: rows };
}
