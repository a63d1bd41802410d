import { meanOf } from "../../evaluation/index.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { AnchorReport, FineTuneMetrics, JudgedBy, LabelReport } from "../task/fine-tune-task.js";
import { gains, logRanks } from "./judge.js";
import type { Judgement } from "./judgement.js";

const MAXIMUM_LABELS = 100;
const EXAMPLES = 10;

/** What held-out anchors made of two embeddings, anchor by anchor. */
export interface Ranks {
  judgements: readonly Judgement[];
  /** Of each judgement's targets. */
  before: readonly number[][];
  after: readonly number[][];
}

/** What got better and what got worse: label by label where there are labels, and the anchors that changed most. */
export function reportOf(
  { judgements, before, after }: Ranks,
  graph: FeedbackGraph,
  judgedBy: JudgedBy,
): Pick<FineTuneMetrics, "labels" | "better" | "worse"> {
  const [logBefore, logAfter] = [logRanks(before), logRanks(after)];
  const gained = gains(before, after, judgedBy);
  const reports = judgements.map(({ anchor, targets }, i) => ({
    // An augmented view is no item; its one target is the item it was made of.
    anchor: judgedBy === "augmentation" ? (targets[0] ?? anchor) : anchor,
    before: logBefore[i] as number,
    after: logAfter[i] as number,
    gain: gained[i] as number,
  }));
  const strip = ({ anchor, before, after }: AnchorReport): AnchorReport => ({ anchor, before, after });
  const byGain = [...reports].sort((a, b) => b.gain - a.gain);
  const better = byGain.filter(({ gain }) => gain > 0).slice(0, EXAMPLES);
  const worse = byGain.filter(({ gain }) => gain < 0).slice(-EXAMPLES);
  const labels = labelReports(reports, graph);
  return {
    ...(labels.length > 0 && { labels }),
    better: better.map(strip),
    worse: worse.reverse().map(strip),
  };
}

function labelReports(reports: readonly AnchorReport[], graph: FeedbackGraph): LabelReport[] {
  const byLabel = new Map<string, AnchorReport[]>();
  for (const report of reports) {
    const label = graph.labelOf(report.anchor);
    if (label === undefined) continue;
    const known = byLabel.get(label);
    if (known === undefined) byLabel.set(label, [report]);
    else known.push(report);
  }
  const all = [...byLabel].map(([label, of]) => ({
    label,
    anchors: of.length,
    before: meanOf(of.map(({ before }) => before)),
    after: meanOf(of.map(({ after }) => after)),
  }));
  return all.sort((a, b) => b.anchors - a.anchors).slice(0, MAXIMUM_LABELS);
}
