import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";

/** Number of folds: training a head is cheap. */
export const FOLDS = 5;

/**
 * Assigns the items of feedback to folds, so that nothing that pairs and triplets said about a held-out anchor's group is seen in
 * training. Groups go whole to the fold with the fewest anchors so far, those of the largest component first. A group that holds more
 * than a `1 / folds` share of all anchors is split by item instead. Components without an anchor stay out of every fold.
 *
 * Labels bind nothing: a label is a kind of thing, and what counts is how well further things of the kinds that there are will be found.
 * So each label is spread over all folds (stratified), as a classifier is judged.
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
  for (const [component] of order) {
    for (const group of random.shuffle(groupsOf(graph, component))) {
      const weight = group.filter((item) => isAnchor.has(item)).length;
      if (weight * folds <= anchors.length) assign(group, weight);
      else for (const item of random.shuffle(group)) assign([item], isAnchor.has(item) ? 1 : 0);
    }
  }
  return foldOf;
}

/** The items of a component by what joins them without their labels. */
function groupsOf(graph: FeedbackGraph, component: number): number[][] {
  const groups = new Map<number, number[]>();
  for (const item of graph.members(component)) {
    const group = groups.get(graph.groupOf(item));
    if (group === undefined) groups.set(graph.groupOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
