import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttuneError } from "../../src/errors/index.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { assertEnoughFeedback, judgedItems, MINIMUM_ANCHORS } from "../../src/training/gate/judgement.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { NO_FEEDBACK, naiveComponents, randomFeedback } from "./support.js";

const ITEMS = 60;

test("components agree with spreading labels along edges, over random feedback", () => {
  const random = new Random(seedOf("components", 101));
  for (let round = 0; round < 200; round++) {
    const feedback = randomFeedback(random, ITEMS);
    const graph = new FeedbackGraph(feedback);
    const expected = naiveComponents(feedback, ITEMS);
    const named = new Set(feedback.triplets.flat());
    for (const [a, b] of feedback.pairs) named.add(a).add(b);
    for (const [item] of feedback.labels) named.add(item);
    for (let a = 0; a < ITEMS; a++) {
      assert.equal(graph.componentOf(a) >= 0, named.has(a));
      for (let b = 0; b < ITEMS; b++) {
        const similar = a === b || (named.has(a) && named.has(b) && expected[a] === expected[b]);
        assert.equal(graph.isKnownSimilar(a, b), similar, `${a} and ${b} in round ${round}`);
        if (similar) assert.ok(!graph.marked(a).includes(b), "a mark inside a component is no negative");
      }
    }
  }
});

test("similar pairs are closed transitively, which widens the positives", () => {
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, pairs: [[1, 2, "similar"]], triplets: [[2, 3, 9]] });
  assert.ok(graph.isPositive(1, 3));
  assert.deepEqual(graph.marked(2), [9]);
  assert.deepEqual(graph.marked(9), [2]);
  assert.ok(!graph.isPositive(1, 9));
});

test("of two statements about a pair the later holds, either way round", () => {
  const later = (label: "similar" | "dissimilar", before: "similar" | "dissimilar") =>
    new FeedbackGraph({
      ...NO_FEEDBACK,
      pairs: [
        [1, 2, before],
        [2, 1, label],
      ],
    });
  assert.ok(later("similar", "dissimilar").isPositive(1, 2));
  assert.deepEqual(later("similar", "dissimilar").marked(1), []);
  assert.ok(!later("dissimilar", "similar").isPositive(1, 2));
  assert.deepEqual(later("dissimilar", "similar").marked(1), [2]);
});

test("a mark that contradicts the closure makes its items neither positive nor negative, and is counted", () => {
  const graph = new FeedbackGraph({
    ...NO_FEEDBACK,
    pairs: [
      [1, 2, "similar"],
      [2, 3, "similar"],
      [1, 3, "dissimilar"],
    ],
  });
  assert.equal(graph.contradictions, 1);
  assert.ok(!graph.isPositive(1, 3));
  assert.deepEqual(graph.marked(1), []);
  assert.ok(graph.isPositive(1, 2));
});

test("labels: one label is similar, different labels are dissimilar, and the last label of an item holds", () => {
  const graph = new FeedbackGraph({
    ...NO_FEEDBACK,
    labels: [
      [1, "a"],
      [2, "a"],
      [3, "b"],
      [4, "b"],
      [2, "b"],
    ],
  });
  assert.ok(graph.isPositive(2, 3));
  assert.ok(!graph.isKnownSimilar(1, 2));
  assert.ok(graph.isOtherLabel(1, 3));
  assert.deepEqual(judgedItems(graph).anchors, [2, 3, 4]);
});

test("an item called dissimilar from itself, or both in one triplet, is refused", () => {
  const refused = (feedback: Partial<typeof NO_FEEDBACK>) =>
    assert.throws(
      () => new FeedbackGraph({ ...NO_FEEDBACK, ...feedback }),
      (error: AttuneError) => error.code === "contradictory_feedback",
    );
  refused({ pairs: [[4, 4, "dissimilar"]] });
  refused({ triplets: [[1, 2, 1]] });
  refused({ triplets: [[1, 2, 2]] });
});

test("what is hidden leaves the graph as if it had never been said", () => {
  const random = new Random(seedOf("hidden", 102));
  for (let round = 0; round < 50; round++) {
    const feedback = randomFeedback(random, ITEMS);
    const hidden = new Set(Array.from({ length: 15 }, () => random.integer(ITEMS)));
    const graph = new FeedbackGraph(feedback).without((item) => hidden.has(item));
    for (const item of graph.items) assert.ok(!hidden.has(item));
    const rest = {
      triplets: feedback.triplets.filter((triplet) => !triplet.some((item) => hidden.has(item))),
      pairs: feedback.pairs.filter(([a, b]) => !hidden.has(a) && !hidden.has(b)),
      labels: feedback.labels.filter(([item]) => !hidden.has(item)),
    };
    for (const [anchor, positive, negative] of feedback.triplets) {
      if (hidden.has(negative) && !hidden.has(anchor) && !hidden.has(positive)) {
        rest.pairs.unshift([anchor, positive, "similar"]);
      }
    }
    const expected = naiveComponents(rest, ITEMS);
    for (const a of graph.items) {
      for (const b of graph.items) assert.equal(graph.isKnownSimilar(a, b), expected[a] === expected[b]);
    }
  }
});

test(`fewer than ${MINIMUM_ANCHORS} anchors are refused as too little feedback`, () => {
  const triplets = (count: number) =>
    Array.from({ length: count }, (_, i): [number, number, number] => [3 * i, 3 * i + 1, 3 * i + 2]);
  const pairs = (count: number, label: "similar" | "dissimilar") =>
    Array.from({ length: count }, (_, i): [number, number, typeof label] => [2 * i, 2 * i + 1, label]);
  const refused = (feedback: Partial<typeof NO_FEEDBACK>) =>
    assert.throws(
      () => assertEnoughFeedback({ ...NO_FEEDBACK, ...feedback }),
      (error: AttuneError) => error.code === "not_enough_feedback",
    );
  refused({});
  refused({ triplets: triplets(9) });
  refused({ pairs: pairs(4, "similar") });
  refused({ pairs: pairs(4, "dissimilar") });
  refused({ labels: Array.from({ length: 20 }, (_, i) => [i, `only one ${i}`]) });
  assertEnoughFeedback({ ...NO_FEEDBACK, triplets: triplets(10) });
  assertEnoughFeedback({ ...NO_FEEDBACK, pairs: pairs(5, "similar") });
  assertEnoughFeedback({ ...NO_FEEDBACK, pairs: pairs(5, "dissimilar") });
  assertEnoughFeedback({ ...NO_FEEDBACK, labels: Array.from({ length: 10 }, (_, i) => [i, i % 2 ? "a" : "b"]) });
});
