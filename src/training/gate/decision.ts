import { bootstrap } from "../../evaluation/index.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { FineTuneMetrics, JudgedBy } from "../task/fine-tune-task.js";
import type { FineTuneOptions } from "../task/options.js";
import { driftOf, gains, metricsOf, type Verdict } from "./judge.js";
import type { Judgement } from "./judgement.js";
import { reportOf } from "./report.js";

/** Held-out anchors as the active embedding has them, and as one has them that was trained without them. */
export interface Looks {
  /** In the order of the ranks. */
  judgements: readonly Judgement[];
  before: Verdict;
  after: Verdict;
  /** Items that ranks were counted among. */
  rankedAmong: number;
}

export interface DecisionSettings extends Pick<FineTuneOptions, "minGain" | "maxDrift"> {
  judgedBy: JudgedBy;
  /** Of the bootstrap. */
  seed: number;
}

export interface Decision {
  passed: boolean;
  /** Why not, in a sentence. */
  reason?: string;
  metrics: FineTuneMetrics;
}

/**
 * Opens the gate when the one-sided 95% lower bound of the mean gain is above `minGain`, and the drift at most `maxDrift`.
 * @param graph all feedback; without any, an empty one
 */
export function decide(looks: Looks, graph: FeedbackGraph, settings: DecisionSettings): Decision {
  const { judgements, before, after, rankedAmong } = looks;
  const { judgedBy, seed, minGain, maxDrift } = settings;
  const differences = gains(before.ranks, after.ranks, judgedBy);
  const improvement = bootstrap(differences, { seed });
  const drift = driftOf(before.neighbours, after.neighbours);
  const components = new Set(judgements.map(({ anchor }) => graph.componentOf(anchor)));
  components.delete(-1);
  const metrics: FineTuneMetrics = {
    before: metricsOf(before.ranks, before.triplets),
    after: metricsOf(after.ranks, after.triplets),
    improvement,
    drift,
    anchors: differences.length,
    groups: components.size,
    rankedAmong,
    contradictions: graph.contradictions,
    judgedBy,
    ...reportOf({ judgements, before: before.ranks, after: after.ranks }, graph, judgedBy),
  };
  const reason = reasonAgainst(improvement, drift, minGain, maxDrift);
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
