import { AttuneError } from "../../errors/index.js";
import type { Random } from "../../vector/random.js";
import { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { NumberedFeedback } from "../task/fine-tune-task.js";
import { FOLDS } from "./folds.js";

/** One anchor that the gate judges by, with the items whose rank it looks at. */
export interface Judgement {
  anchor: number;
  /** Positives (or, where nothing is similar, items marked dissimilar), at most {@link MAXIMUM_TARGETS}. */
  targets: readonly number[];
}

/** Which relation of feedback is judged: positives should come closer, or, without any, marked items should go away. */
export type JudgedRelation = "similar" | "dissimilar";

/** Fewer anchors than this cannot make five folds whose pooled bound means anything. */
export const MINIMUM_ANCHORS = 10;
/** More anchors hardly narrow the bound, and each costs a scan of the collection. */
export const MAXIMUM_ANCHORS = 2_500;
const MAXIMUM_TARGETS = 8;

/** Every item that can be judged: said to be an anchor of something similar, or, without any such, carrying a mark. */
export function judgedItems(graph: FeedbackGraph): { judgedBy: JudgedRelation; anchors: number[] } {
  const similar = new Set(graph.relations.map((relation) => relation.anchor));
  if (similar.size > 0) return { judgedBy: "similar", anchors: [...similar].sort((a, b) => a - b) };
  return { judgedBy: "dissimilar", anchors: graph.items.filter((item) => graph.marked(item).length > 0) };
}

/** The judged anchors with their targets; where there are too many anchors, a random choice of them. Ascending by anchor. */
export function judgements(graph: FeedbackGraph, anchors: readonly number[], judgedBy: JudgedRelation, random: Random) {
  const chosen = random.shuffle([...anchors]).slice(0, MAXIMUM_ANCHORS);
  chosen.sort((a, b) => a - b);
  return chosen.map((anchor): Judgement => {
    const all = judgedBy === "similar" ? positivesOf(graph, anchor) : graph.marked(anchor);
    return { anchor, targets: random.shuffle([...all]).slice(0, MAXIMUM_TARGETS) };
  });
}

/**
 * Refuses feedback that the gate could not judge.
 * @throws not_enough_feedback below {@link MINIMUM_ANCHORS} judged anchors
 * @throws contradictory_feedback when an item is called dissimilar from itself
 */
export function assertEnoughFeedback(feedback: NumberedFeedback): void {
  requireAnchors(judgedItems(new FeedbackGraph(feedback)).anchors.length);
}

/**
 * Refuses a collection that is too small to learn from without feedback: a fifth of its items judges.
 * @throws not_enough_feedback
 */
export function assertEnoughItems(items: number): void {
  if (items >= FOLDS * MINIMUM_ANCHORS) return;
  throw new AttuneError(
    "not_enough_feedback",
    `The collection holds ${items} items; learning from augmentation alone needs at least ${FOLDS * MINIMUM_ANCHORS}, ` +
      "a fifth of them to judge by. Add items",
  );
}

/** @throws not_enough_feedback */
export function requireAnchors(anchors: number): void {
  if (anchors >= MINIMUM_ANCHORS) return;
  throw new AttuneError(
    "not_enough_feedback",
    `The feedback holds ${anchors} anchors to judge by; a fine-tune needs at least ${MINIMUM_ANCHORS}. Each triplet gives ` +
      "one (its anchor), each similar pair two (both ends), each labelled item that shares its label one; give more feedback",
  );
}

function positivesOf(graph: FeedbackGraph, anchor: number): number[] {
  return graph.members(graph.componentOf(anchor)).filter((other) => graph.isPositive(anchor, other));
}
