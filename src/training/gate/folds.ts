import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";

/** Number of folds: training a head is cheap. */
export const FOLDS = 5;

/**
 * Assigns the items of feedback to folds, so that nothing said about a held-out anchor's component is seen in training.
 * Whole components go to the fold with the fewest anchors so far, largest first. A component that holds more than a
 * `1 / folds` share of all anchors (as when everything is labelled) is split by item instead. Components without an
 * anchor stay out of every fold.
 * @returns fold of each assigned item, 0 to `folds - 1`
 */
export function assignFolds(
  graph: FeedbackGraph,
  anchors: readonly number[],
  random: Random,
  folds = FOLDS,
): Map<number, number> {
  const isAnchor = new Set(anchors);
  const components = new Map<number, number>();
  for (const anchor of anchors) {
    const component = graph.componentOf(anchor);
    components.set(component, (components.get(component) ?? 0) + 1);
  }
  const filled = new Array<number>(folds).fill(0);
  const foldOf = new Map<number, number>();
  const assign = (items: readonly number[], weight: number) => {
    const fold = filled.indexOf(Math.min(...filled));
    filled[fold] = (filled[fold] ?? 0) + weight;
    for (const item of items) foldOf.set(item, fold);
  };
  // Shuffled before sorting (which is stable): components of one size are in random order.
  const order = random.shuffle([...components]).sort((a, b) => b[1] - a[1]);
  for (const [component, weight] of order) {
    const members = graph.members(component);
    if (weight * folds <= anchors.length) assign(members, weight);
    else for (const item of random.shuffle([...members])) assign([item], isAnchor.has(item) ? 1 : 0);
  }
  return foldOf;
}
