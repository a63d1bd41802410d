import { type FoldTrainers, openFoldTrainers } from "../head/fold-pool.js";
import { type FoldSetup, setUpFolds, validationOf } from "../head/fold-training.js";
import type { HeadContext } from "../head/head-context.js";
import type { HeadTrainer } from "../head/head-trainer.js";
import type { TrainedHead, TrainingPlan } from "../head/training-run.js";
import type { FineTuneResult, LossPoint } from "../task/fine-tune-task.js";
import { type Decision, decide, type Looks } from "./decision.js";
import { bestTogether } from "./early-stopping.js";
import { FOLDS } from "./folds.js";
import type { JudgeRequest, Verdict } from "./judge.js";
import type { Judgement } from "./judgement.js";
import { judgingField, untouchedItems } from "./samples.js";

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
  const trials = await tryRecipes(context, setup);
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

/** More feedback bears, and needs, more steps: the same number of passes. */
function stepsOnAll(steps: number, plan: TrainingPlan | undefined, context: HeadContext): number {
  if (plan === undefined || plan.lines.length === 0) return 0;
  return Math.min(context.maximumSteps, Math.round((steps * context.lines.length) / plan.lines.length));
}

async function tryRecipes(context: HeadContext, setup: FoldSetup): Promise<Trial[]> {
  const folds = openFoldTrainers(context, setup);
  try {
    return await Promise.all(context.trainers.map((trainer, recipe) => tryRecipe(trainer, setup, recipe, folds)));
  } finally {
    await folds.close();
  }
}

/** One head a fold. */
async function tryRecipe(trainer: HeadTrainer, setup: FoldSetup, recipe: number, folds: FoldTrainers): Promise<Trial> {
  const heads = await Promise.all(setup.plans.map((_, fold) => folds.train(recipe, fold)));
  const curves = setup.plans.map(({ steps }, fold) => ({
    curve: heads[fold]?.curve ?? [],
    plannedSteps: steps,
    anchors: validationOf(setup, fold).length,
  }));
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
