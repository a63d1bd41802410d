import assert from "node:assert/strict";
import { test } from "node:test";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { assignFolds, FOLDS } from "../../src/training/gate/folds.js";
import { judgedItems } from "../../src/training/gate/judgement.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { NO_FEEDBACK, randomFeedback } from "./support.js";

test("folds never split what pairs and triplets join, unless it holds more than a fifth of the anchors", () => {
  const random = new Random(seedOf("folds", 103));
  let whole = 0;
  let split = 0;
  for (let round = 0; round < 300; round++) {
    const graph = new FeedbackGraph({ ...randomFeedback(random, 200), labels: [] });
    const { anchors } = judgedItems(graph);
    if (anchors.length < 10) continue;
    const foldOf = assignFolds(graph, anchors, random);
    for (const anchor of anchors) assert.ok(foldOf.has(anchor), "every anchor is held out once");
    for (let component = 0; component < graph.components; component++) {
      const members = graph.members(component);
      const share = members.filter((item) => anchors.includes(item)).length / anchors.length;
      const folds = new Set(members.map((item) => foldOf.get(item)));
      if (share > 1 / FOLDS) split++;
      else {
        assert.equal(folds.size, 1);
        whole++;
      }
    }
    const sizes = Array.from(
      { length: FOLDS },
      (_, fold) => anchors.filter((item) => foldOf.get(item) === fold).length,
    );
    assert.ok(Math.min(...sizes) >= 1, `sizes ${sizes}`);
    assert.ok(Math.max(...sizes) <= Math.ceil((2 * anchors.length) / FOLDS), `sizes ${sizes}`);
  }
  assert.ok(whole > 100 && split > 10, `${whole} whole, ${split} split`);
});

test("where everything is labelled, each label is spread over the folds evenly", () => {
  const labels = Array.from({ length: 100 }, (_, i): [number, string] => [i, i % 2 === 0 ? "even" : "odd"]);
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, labels });
  const foldOf = assignFolds(graph, judgedItems(graph).anchors, new Random(1));
  for (let fold = 0; fold < FOLDS; fold++) {
    assert.equal([...foldOf.values()].filter((value) => value === fold).length, 20);
  }
});

test("however many labels there are, each is spread over the folds, and what pairs and triplets join is not split", () => {
  const random = new Random(seedOf("labelled folds", 104));
  const labels = Array.from({ length: 600 }, (_, i): [number, string] => [i, `label ${i % 30}`]);
  const pairs = Array.from({ length: 40 }, (_, i): [number, number, "similar"] => [
    i * 30,
    i * 30 + 600,
    "similar",
  ]).filter(([a]) => a < 600);
  const triplets: [number, number, number][] = [[1, 31, 2]];
  const graph = new FeedbackGraph({ labels, pairs, triplets });
  const foldOf = assignFolds(graph, judgedItems(graph).anchors, random);
  for (let label = 0; label < 30; label++) {
    const counts = new Array<number>(FOLDS).fill(0);
    for (let item = label; item < 600; item += 30) counts[foldOf.get(item) ?? -1]!++;
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `label ${label}: ${counts}`);
  }
  for (const [a, b] of pairs) assert.equal(foldOf.get(a), foldOf.get(b));
  assert.equal(foldOf.get(1), foldOf.get(31));
});

test("the same seed gives the same folds", () => {
  const graph = new FeedbackGraph(randomFeedback(new Random(5), 200));
  const { anchors } = judgedItems(graph);
  assert.deepEqual(assignFolds(graph, anchors, new Random(9)), assignFolds(graph, anchors, new Random(9)));
});
