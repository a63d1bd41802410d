import { AttuneError } from "../../errors/index.js";
import type { NumberedFeedback } from "../task/fine-tune-task.js";
import { UnionFind } from "./union-find.js";

/** One thing somebody said that holds a positive: the anchor, and the positive said (none where a label said it). */
export interface SimilarRelation {
  anchor: number;
  positive: number | undefined;
}

/**
 * What feedback says about which items belong together. Similar pairs, anchors with their positives, and items of one
 * label are joined transitively into components; two items of one component are never each other's negatives.
 *
 * Feedback that contradicts itself: of two statements about the same pair (or of two labels of one item) the later holds;
 * a dissimilar mark inside a component (it contradicts what follows from the rest) makes its two items neither positive nor
 * negative of each other, unless they were called similar directly; such marks are counted in `contradictions`.
 */
export class FeedbackGraph {
  /** Every item that feedback names, ascending. */
  readonly items: readonly number[];
  /** What was said directly, in the order it was said: triplets, then similar pairs both ways round, then labels. */
  readonly relations: readonly SimilarRelation[];
  /** Triplets as given, for triplet accuracy. */
  readonly triplets: readonly (readonly [number, number, number])[];
  /** Dissimilar marks left out because they lie inside a component. */
  readonly contradictions: number;
  readonly #component = new Map<number, number>();
  /** By item, one item of its group. */
  readonly #group = new Map<number, number>();
  readonly #members: number[][] = [];
  readonly #similar = new Map<number, Set<number>>();
  readonly #marked = new Map<number, Set<number>>();
  readonly #label = new Map<number, string>();
  readonly #feedback: NumberedFeedback;

  /** @throws contradictory_feedback when an item is called dissimilar from itself */
  constructor(feedback: NumberedFeedback) {
    this.#feedback = feedback;
    const sets = new UnionFind();
    const relations: SimilarRelation[] = [];
    const marks: [number, number][] = [];
    for (const [anchor, positive, negative] of feedback.triplets) {
      if (anchor === negative || positive === negative) throw selfContradiction(anchor, positive, negative);
      sets.add(negative);
      sets.union(anchor, positive);
      marks.push([anchor, negative]);
      if (anchor !== positive) relations.push({ anchor, positive });
    }
    for (const [a, b, label] of latestPairs(feedback.pairs)) {
      sets.add(a);
      sets.add(b);
      if (label === "dissimilar") marks.push([a, b]);
      else {
        sets.union(a, b);
        relations.push({ anchor: a, positive: b }, { anchor: b, positive: a });
      }
    }
    this.triplets = feedback.triplets;
    for (const { anchor, positive } of relations) {
      if (positive === undefined) continue;
      connect(this.#similar, anchor, positive);
      for (const item of [anchor, positive]) this.#group.set(item, sets.find(item));
    }
    this.#joinLabels(sets);
    this.items = this.#numberComponents(sets);
    let contradictions = 0;
    for (const [a, b] of marks) {
      connect(this.#marked, a, b);
      if (this.componentOf(a) === this.componentOf(b)) contradictions++;
    }
    this.contradictions = contradictions;
    for (const item of this.#label.keys()) {
      if (this.hasPositive(item)) relations.push({ anchor: item, positive: undefined });
    }
    this.relations = relations;
  }

  /** Number of components, single items among them. */
  get components(): number {
    return this.#members.length;
  }

  /** The component of an item, 0 to `components - 1`; -1 for an item that no feedback names. */
  componentOf(item: number): number {
    return this.#component.get(item) ?? -1;
  }

  /** The items of a component, ascending. */
  members(component: number): readonly number[] {
    return this.#members[component] ?? [];
  }

  /** What an item is joined to by similar pairs and triplets, labels apart: a number that the items of the group have in common. */
  groupOf(item: number): number {
    return this.#group.get(item) ?? item;
  }

  /** Whether two items are the same or of one component, and so never each other's negatives. */
  isKnownSimilar(a: number, b: number): boolean {
    if (a === b) return true;
    const component = this.componentOf(a);
    return component >= 0 && component === this.componentOf(b);
  }

  /** Whether `b` may serve as a positive of `a`: said directly, or following from the rest without contradiction. */
  isPositive(a: number, b: number): boolean {
    if (a === b || !this.isKnownSimilar(a, b)) return false;
    return this.#similar.get(a)?.has(b) === true || !this.#isCalledDissimilar(a, b);
  }

  /** Whether an item has any positive. */
  hasPositive(item: number): boolean {
    return this.members(this.componentOf(item)).some((other) => this.isPositive(item, other));
  }

  /** Items called dissimilar from this one by a pair or a triplet (labels apart) and not of its component, ascending. */
  marked(item: number): readonly number[] {
    const marks = [...(this.#marked.get(item) ?? [])];
    return marks.filter((other) => !this.isKnownSimilar(item, other)).sort((a, b) => a - b);
  }

  /** The label an item carries, the last one where several were given. */
  labelOf(item: number): string | undefined {
    return this.#label.get(item);
  }

  /** Items that carry a label other than this item's, as a test; none where this item has no label. */
  isOtherLabel(item: number, other: number): boolean {
    const label = this.#label.get(item);
    const otherLabel = this.#label.get(other);
    return label !== undefined && otherLabel !== undefined && label !== otherLabel && !this.isKnownSimilar(item, other);
  }

  /** The graph as if nothing had ever been said about the items `isHidden` names. */
  without(isHidden: (item: number) => boolean): FeedbackGraph {
    const { pairs, triplets, labels } = this.#feedback;
    const restTriplets: [number, number, number][] = [];
    const restPairs: [number, number, "similar" | "dissimilar"][] = [];
    for (const [anchor, positive, negative] of triplets) {
      if (isHidden(anchor) || isHidden(positive)) continue;
      if (!isHidden(negative)) restTriplets.push([anchor, positive, negative]);
      else restPairs.push([anchor, positive, "similar"]);
    }
    for (const pair of pairs) if (!isHidden(pair[0]) && !isHidden(pair[1])) restPairs.push(pair);
    return new FeedbackGraph({
      triplets: restTriplets,
      pairs: restPairs,
      labels: labels.filter(([item]) => !isHidden(item)),
    });
  }

  #isCalledDissimilar(a: number, b: number): boolean {
    if (this.#marked.get(a)?.has(b) === true) return true;
    const label = this.#label.get(a);
    const other = this.#label.get(b);
    return label !== undefined && other !== undefined && label !== other;
  }

  #joinLabels(sets: UnionFind): void {
    for (const [item, label] of this.#feedback.labels) this.#label.set(item, label);
    const firstOf = new Map<string, number>();
    for (const [item, label] of this.#label) {
      const first = firstOf.get(label);
      if (first === undefined) firstOf.set(label, item);
      sets.union(first ?? item, item);
    }
  }

  #numberComponents(sets: UnionFind): number[] {
    const { pairs, triplets, labels } = this.#feedback;
    const named = new Set<number>();
    for (const triplet of triplets) for (const item of triplet) named.add(item);
    for (const [a, b] of pairs) named.add(a).add(b);
    for (const [item] of labels) named.add(item);
    const items = [...named].sort((a, b) => a - b);
    const numberOf = new Map<number, number>();
    for (const item of items) {
      const root = sets.find(item);
      let number = numberOf.get(root);
      if (number === undefined) {
        number = this.#members.length;
        numberOf.set(root, number);
        this.#members.push([]);
      }
      this.#component.set(item, number);
      this.#members[number]?.push(item);
    }
    return items;
  }
}

/** The last word on each unordered pair, in the order of those last words. */
function latestPairs(pairs: NumberedFeedback["pairs"]): NumberedFeedback["pairs"] {
  const latest = new Map<string, NumberedFeedback["pairs"][number]>();
  for (const pair of pairs) {
    const [a, b, label] = pair;
    if (a === b && label === "dissimilar") throw selfContradiction(a, b);
    if (a === b) continue;
    const key = a < b ? `${a},${b}` : `${b},${a}`;
    latest.delete(key);
    latest.set(key, pair);
  }
  return [...latest.values()];
}

function selfContradiction(...items: number[]): AttuneError {
  return new AttuneError(
    "contradictory_feedback",
    `Feedback about ${items.join(", ")} calls an item dissimilar from itself or both similar and dissimilar; remove it`,
  );
}

function connect(edges: Map<number, Set<number>>, a: number, b: number): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const ends = edges.get(from);
    if (ends) ends.add(to);
    else edges.set(from, new Set([to]));
  }
}
