import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "./feedback-graph.js";

/** One line of a training batch before its negative is drawn: an anchor and the positives it may be shown with. */
export interface TrainingLine {
  anchor: number;
  /** The positive said directly first, then others of the component, at most {@link MAXIMUM_POSITIVES}. */
  positives: readonly number[];
  /** Items marked dissimilar from the anchor. */
  marked: readonly number[];
  /**
   * Whether the anchor has marks but no positive: it is then its own positive, at distance 0, so that the loss only
   * pushes the marked items out to the margin.
   */
  alone: boolean;
}

/** Each (anchor, positive) pair is mined for once, so their number is bounded. */
const MAXIMUM_POSITIVES = 4;

/**
 * What one epoch walks through: a line for each triplet, two for each similar pair (either end is the anchor), one for
 * each labelled item, and one for each end of a mark that no other line would show.
 */
export function trainingLines(graph: FeedbackGraph, random: Random): TrainingLine[] {
  const lines: TrainingLine[] = [];
  const anchored = new Set<number>();
  for (const { anchor, positive } of graph.relations) {
    anchored.add(anchor);
    const positives = drawPositives(graph, anchor, positive, random);
    if (positives.length > 0) lines.push({ anchor, positives, marked: graph.marked(anchor), alone: false });
  }
  for (const item of graph.items) {
    // A mark at whose other end an anchor stands is trained there already.
    const marked = anchored.has(item) ? [] : graph.marked(item).filter((other) => !anchored.has(other));
    if (marked.length > 0) lines.push({ anchor: item, positives: [item], marked, alone: true });
  }
  return lines;
}

/** What is left of lines when only `graph` is known: positives and marks that it does not hold fall away. */
export function restrictLines(lines: readonly TrainingLine[], graph: FeedbackGraph): TrainingLine[] {
  const restricted: TrainingLine[] = [];
  for (const line of lines) {
    const known = new Set(graph.marked(line.anchor));
    const marked = line.marked.filter((item) => known.has(item));
    const positives = line.alone
      ? line.positives
      : line.positives.filter((item) => graph.isPositive(line.anchor, item));
    if (positives.length === 0 || (line.alone && marked.length === 0)) continue;
    restricted.push({ ...line, positives, marked });
  }
  return restricted;
}

function drawPositives(graph: FeedbackGraph, anchor: number, given: number | undefined, random: Random): number[] {
  const members = graph.members(graph.componentOf(anchor));
  const chosen = new Set(given === undefined ? [] : [given]);
  if (members.length <= 16 * MAXIMUM_POSITIVES) {
    const others = members.filter((other) => graph.isPositive(anchor, other));
    for (const other of random.shuffle(others)) if (chosen.size < MAXIMUM_POSITIVES) chosen.add(other);
    return [...chosen];
  }
  // A large component is sampled: filtering it for each of its members would take quadratic time.
  for (let tries = 0; tries < 16 * MAXIMUM_POSITIVES && chosen.size < MAXIMUM_POSITIVES; tries++) {
    const other = members[random.integer(members.length)] ?? anchor;
    if (graph.isPositive(anchor, other)) chosen.add(other);
  }
  return [...chosen];
}
