import { bootstrap } from "../../evaluation/index.js";
import { type FineTuneContext, randomStream, STREAMS } from "../context.js";
import { restrictLines } from "../feedback/training-lines.js";
import { type TrainedHead, type TrainingPlan, trainHead } from "../head/training-run.js";
import { sampleRows } from "../rows/base-rows.js";
import { MemoryRows } from "../rows/row-files.js";
import type { FineTuneMetrics, LossPoint } from "../task/fine-tune-task.js";
import { bestShare } from "./early-stopping.js";
import { assignFolds, FOLDS } from "./folds.js";
import {
  driftOf,
  type Field,
  gains,
  Judge,
  type JudgeRequest,
  metricsOf,
  type Verdict,
  wholeCollection,
} from "./judge.js";
import { type Judgement, judgements } from "./judgement.js";

/** Items that early stopping ranks among, instead of the whole collection. */
const VALIDATION_FIELD = 1_024;
/** Items that no feedback touches, over all folds, whose neighbours are compared. */
const DRIFT_SAMPLE = 200;

export interface GateResult {
  passed: boolean;
  /** Why not, in a sentence. */
  reason?: string;
  metrics: FineTuneMetrics;
  /** Steps on all feedback that make as many passes as each fold's early stopping chose. */
  foldSteps: number[];
  /** The same for all folds together: how long to train on all feedback. */
  steps: number;
  /** Of the first fold. */
  lossCurve: LossPoint[];
  /** All judged anchors and their ranks under the active head. */
  judgements: Judgement[];
  ranksBefore: number[][];
  trainingMs: number;
  evaluatingMs: number;
}

/**
 * Judges whether training on this feedback helps, before anything is built on it: five heads, each trained without one fold
 * of the feedback and judged on that fold by the log-rank of the positives among the whole collection; the anchors
 * pooled; the one-sided 95% lower bound of the mean gain over the active head must be above `minGain`.
 */
export async function runGate(context: FineTuneContext): Promise<GateResult> {
  const { task, graph, meter } = context;
  const judge = new Judge(context.engine, context.base, graph, context.pause);
  const foldOf = assignFolds(graph, context.anchors, randomStream(task.seed, STREAMS.folds));
  const judged = judgements(graph, context.anchors, context.judgedBy, randomStream(task.seed, STREAMS.judgements));

  const startedAt = performance.now();
  const plans = foldPlans(context, foldOf);
  meter.begin(
    "training",
    plans.reduce((sum, plan) => sum + plan.steps, context.maximumSteps),
    "steps",
  );
  const heads = await trainFolds(context, judge, plans, foldOf, judged);
  const trainedAt = performance.now();
  const looks = await judgeFolds(context, judge, foldOf, judged, heads);
  const verdict = decide(context, looks);
  const share = bestShare(
    heads.map(({ curve }, fold) => {
      const anchors = judged.filter(({ anchor }) => foldOf.get(anchor) === (fold + 1) % FOLDS).length;
      return { curve, plannedSteps: plans[fold]?.steps ?? 0, anchors };
    }),
  );
  const foldSteps = heads.map((head, fold) => stepsOnAll(head.steps, plans[fold], context));
  return {
    ...verdict,
    foldSteps,
    steps: Math.round(context.maximumSteps * share),
    lossCurve: heads[0]?.curve ?? [],
    judgements: looks.judgements,
    ranksBefore: looks.before.ranks,
    trainingMs: trainedAt - startedAt,
    evaluatingMs: performance.now() - trainedAt,
  };
}

/** Each fold trains without itself and without the next fold, its validation part, for as many epochs as allowed. */
function foldPlans(context: FineTuneContext, foldOf: ReadonlyMap<number, number>): TrainingPlan[] {
  return Array.from({ length: FOLDS }, (_, fold) => {
    const next = (fold + 1) % FOLDS;
    const graph = context.graph.without((item) => foldOf.get(item) === fold || foldOf.get(item) === next);
    const lines = restrictLines(context.lines, graph);
    const steps = Math.ceil((context.maximumSteps * lines.length) / context.lines.length);
    return { graph, lines, steps, random: randomStream(context.task.seed, STREAMS.fold + fold) };
  });
}

/** More feedback bears, and needs, more steps: the same number of passes. */
function stepsOnAll(steps: number, plan: TrainingPlan | undefined, context: FineTuneContext): number {
  if (plan === undefined || plan.lines.length === 0) return 0;
  return Math.min(context.maximumSteps, Math.round((steps * context.lines.length) / plan.lines.length));
}

/** One head a fold, early stopping by the next fold. */
async function trainFolds(
  context: FineTuneContext,
  judge: Judge,
  plans: readonly TrainingPlan[],
  foldOf: ReadonlyMap<number, number>,
  judged: readonly Judgement[],
): Promise<TrainedHead[]> {
  const field = validationField(context);
  const heads: TrainedHead[] = [];
  for (const [fold, plan] of plans.entries()) {
    const next = (fold + 1) % FOLDS;
    const validation = { judge, field, judgements: judged.filter(({ anchor }) => foldOf.get(anchor) === next) };
    heads.push(await trainHead(context, plan, validation));
  }
  return heads;
}

interface Looks {
  /** Judged anchors fold by fold, in the order of the ranks. */
  judgements: Judgement[];
  before: Verdict;
  after: Verdict;
}

/** Looks at every held-out anchor through the active head and through the head that did not see it. */
async function judgeFolds(
  context: FineTuneContext,
  judge: Judge,
  foldOf: ReadonlyMap<number, number>,
  judged: readonly Judgement[],
  heads: readonly TrainedHead[],
): Promise<Looks> {
  const { base, graph, meter } = context;
  const field = wholeCollection(base);
  const untouched = untouchedItems(context);
  const requests = heads.map((_, fold): Required<JudgeRequest> => {
    const isHere = (item: number) => foldOf.get(item) === fold;
    return {
      judgements: judged.filter(({ anchor }) => isHere(anchor)),
      untouched: untouched.filter((_item, i) => i % FOLDS === fold),
      triplets: graph.triplets.filter(([anchor]) => isHere(anchor)),
    };
  });
  meter.begin("evaluating", (heads.length + 1) * base.count, "rows");
  const all = {
    judgements: requests.flatMap((request) => request.judgements),
    untouched: requests.flatMap((request) => request.untouched),
    triplets: requests.flatMap((request) => request.triplets),
  };
  const before = await judge.look(context.active, field, all);
  meter.advance(base.count);
  const after: Verdict = { ranks: [], neighbours: [], triplets: [] };
  for (const [fold, head] of heads.entries()) {
    const verdict = await judge.look(head.weights, field, requests[fold] ?? { judgements: [] });
    after.ranks.push(...verdict.ranks);
    after.neighbours.push(...verdict.neighbours);
    after.triplets.push(...verdict.triplets);
    meter.advance(base.count);
  }
  return { judgements: all.judgements, before, after };
}

function decide(context: FineTuneContext, { before, after }: Looks): Pick<GateResult, "passed" | "reason" | "metrics"> {
  const { graph, options, task, judgedBy } = context;
  const differences = gains(before.ranks, after.ranks, judgedBy);
  const improvement = bootstrap(differences, { seed: task.seed });
  const drift = driftOf(before.neighbours, after.neighbours);
  const metrics: FineTuneMetrics = {
    before: metricsOf(before.ranks, before.triplets),
    after: metricsOf(after.ranks, after.triplets),
    improvement,
    drift,
    anchors: differences.length,
    groups: new Set(context.anchors.map((anchor) => graph.componentOf(anchor))).size,
    contradictions: graph.contradictions,
    judgedBy,
  };
  const reason = reasonAgainst(improvement, drift, options.minGain, options.maxDrift);
  return reason === undefined ? { passed: true, metrics } : { passed: false, reason, metrics };
}

function reasonAgainst(
  improvement: { mean: number; low: number },
  drift: number,
  minGain: number,
  maxDrift: number,
): string | undefined {
  if (!(improvement.low > minGain)) {
    return (
      `On held-out feedback the log-rank improves by ${improvement.mean.toFixed(4)}, and with 95% confidence by more than ` +
      `${improvement.low.toFixed(4)}, which is not above minGain ${minGain}`
    );
  }
  if (drift > maxDrift) {
    return `${(100 * drift).toFixed(1)}% of the neighbours of untouched items would be replaced, more than maxDrift ${maxDrift}`;
  }
  return undefined;
}

function validationField(context: FineTuneContext): Field {
  const { base, task } = context;
  const random = randomStream(task.seed, STREAMS.sample);
  const { rows, positions } = sampleRows(base, base.dimensions, VALIDATION_FIELD, random);
  const placeOf = new Map(Array.from(positions, (item, place) => [item, place]));
  return { rows: new MemoryRows(rows, base.dimensions), positionOf: (item) => placeOf.get(item) ?? -1 };
}

/** A random choice of items that no feedback names. */
function untouchedItems({ base, graph, task }: FineTuneContext): number[] {
  const random = randomStream(task.seed, STREAMS.untouched);
  const chosen = new Set<number>();
  for (let tries = 0; tries < 20 * DRIFT_SAMPLE && base.count > 0 && chosen.size < DRIFT_SAMPLE; tries++) {
    const item = random.integer(base.count);
    if (graph.componentOf(item) < 0) chosen.add(item);
  }
  return [...chosen];
}
