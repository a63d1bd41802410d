import { type FoldSetup, validationOf } from "../head/fold-setup.js";
import type { HeadContext } from "../head/head-context.js";
import type { HeadTrainer } from "../head/head-trainer.js";
import type { HeadWork } from "../head/head-work.js";
import type { TrainedHead, TrainingPlan } from "../head/training-run.js";
import type { FineTuneResult, LossPoint } from "../task/fine-tune-task.js";
import { type Decision, decide } from "./decision.js";
import { bestTogether, checkpointInterval } from "./early-stopping.js";
import type { Verdict } from "./judge.js";

export interface GateResult extends Decision {
  /** Of the recipe that does best on all validation parts together. */
  trainer: HeadTrainer;
  /** Trained with it on all feedback; undefined where the gate stays shut and nothing is to be written all the same. */
  head: TrainedHead | undefined;
  /** Every recipe tried, where there are several. */
  tried?: FineTuneResult["tried"];
  /** Steps on all feedback that make as many passes as each fold's early stopping chose. */
  foldSteps: number[];
  /** Of the first fold. */
  lossCurve: LossPoint[];
  /** Of all judged anchors, under the active head. */
  ranksBefore: number[][];
  trainingMs: number;
  /** Judging that went on when no training did. */
  evaluatingMs: number;
}

/** One recipe, trained in every fold. */
interface Trial {
  recipe: number;
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
 *
 * With several threads the final head is trained beside the judging of the folds, whatever will come of it.
 */
export async function runGate(context: HeadContext, work: HeadWork): Promise<GateResult> {
  const { setup } = work;
  const { meter, trainers, task, options, judgedBy, graph, active, maximumSteps } = context;
  const startedAt = performance.now();
  const perRecipe = setup.plans.reduce((sum, plan) => sum + plan.steps, 0);
  meter.begin("training", trainers.length * perRecipe + maximumSteps, "steps");
  const looks = new LookMeter(context, setup);
  const training = trainers.map((_, recipe) => setup.plans.map((_, fold) => work.trainFold(recipe, fold)));
  const before = looks.count(work.look(active));
  const chosen = setup.plans.map((_, fold) => Promise.all(training.map((heads) => heads[fold])).then(bestHead));
  const after = chosen.map((head, fold) => looks.count(head.then(({ weights }) => work.look(weights, fold))));
  // Whichever fails first is told; the others' failures are nobody's.
  for (const job of [...training.flat(), ...chosen, before, ...after]) job.catch(() => {});

  const trials = await Promise.all(training.map((heads, recipe) => trialOf(context, setup, recipe, heads)));
  const best = trials.reduce((leader, trial) => (trial.gain > leader.gain ? trial : leader));
  // Folds that chose no steps at all leave nothing to promote; who promotes always wants a trained head all the same.
  const steps = Math.max(Math.round(maximumSteps * best.share), checkpointInterval(maximumSteps));
  meter.drop(maximumSteps - steps);
  let head = work.lanes > 1 ? await work.trainOnAll(best.recipe, steps) : undefined;
  const trainedAt = performance.now();
  looks.show();
  const verdicts = { before: await before, after: joined(await Promise.all(after)) };
  const { judgements } = setup.everything;
  const rankedAmong = setup.judgingField.rows.count;
  const decision = decide({ judgements, ...verdicts, rankedAmong }, graph, { ...options, judgedBy, seed: task.seed });
  const judgedAt = performance.now();
  const wanted = decision.passed || options.promote === "always";
  if (wanted && head === undefined) {
    meter.begin("training", steps, "steps");
    head = await work.trainOnAll(best.recipe, steps);
  }
  const foldHeads = await Promise.all(chosen);
  return {
    ...decision,
    trainer: best.trainer,
    head: wanted ? head : undefined,
    ...(trials.length > 1 && { tried: trials.map(reportTrial) }),
    foldSteps: foldHeads.map((fold, i) => stepsOnAll(fold.steps, setup.plans[i], context)),
    lossCurve: best.heads[0]?.curve ?? [],
    ranksBefore: verdicts.before.ranks,
    trainingMs: trainedAt - startedAt + performance.now() - judgedAt,
    evaluatingMs: judgedAt - trainedAt,
  };
}

/** More feedback bears, and needs, more steps: the same number of passes. */
function stepsOnAll(steps: number, plan: TrainingPlan | undefined, context: HeadContext): number {
  if (plan === undefined || plan.lines.length === 0) return 0;
  return Math.min(context.maximumSteps, Math.round((steps * context.lines.length) / plan.lines.length));
}

async function trialOf(
  { trainers }: HeadContext,
  setup: FoldSetup,
  recipe: number,
  training: readonly Promise<TrainedHead>[],
): Promise<Trial> {
  const heads = await Promise.all(training);
  const trainer = trainers[recipe];
  if (trainer === undefined) throw new Error(`there is no recipe ${recipe}`);
  const curves = setup.plans.map(({ steps }, fold) => ({
    curve: heads[fold]?.curve ?? [],
    plannedSteps: steps,
    anchors: validationOf(setup, fold).length,
  }));
  return { recipe, trainer, heads, ...bestTogether(curves) };
}

/** The head that a fold's own validation part likes best; the first of several that it likes alike. */
function bestHead(heads: readonly (TrainedHead | undefined)[]): TrainedHead {
  const best = heads.reduce((leader, head) => ((head?.gain ?? 0) > (leader?.gain ?? 0) ? head : leader));
  if (best === undefined) throw new Error("a fold has no head");
  return best;
}

function reportTrial({ trainer, gain }: Trial) {
  const { loss, learningRate } = trainer.options.recipe;
  return { loss, learningRate, validation: gain };
}

/** The verdicts of all folds as one, in the order of the folds. */
function joined(verdicts: readonly Verdict[]): Verdict {
  return {
    ranks: verdicts.flatMap(({ ranks }) => ranks),
    neighbours: verdicts.flatMap(({ neighbours }) => neighbours),
    triplets: verdicts.flatMap(({ triplets }) => triplets),
  };
}

/** Counts looks, which begin while there is still training, and shows them once it is over. */
class LookMeter {
  readonly #meter: HeadContext["meter"];
  readonly #rows: number;
  readonly #total: number;
  #done = 0;
  #shown = false;

  constructor({ meter }: HeadContext, { judgingField, plans }: FoldSetup) {
    this.#meter = meter;
    this.#rows = judgingField.rows.count;
    this.#total = this.#rows * (plans.length + 1);
  }

  async count(look: Promise<Verdict>): Promise<Verdict> {
    const verdict = await look;
    this.#done += this.#rows;
    if (this.#shown) this.#meter.advance(this.#rows);
    return verdict;
  }

  show(): void {
    this.#shown = true;
    this.#meter.begin("evaluating", this.#total, "rows");
    this.#meter.advance(this.#done);
  }
}
