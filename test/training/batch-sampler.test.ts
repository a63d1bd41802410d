import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchSampler } from "../../src/training/batches/batch-sampler.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { restrictLines, trainingLines } from "../../src/training/feedback/training-lines.js";
import { MinedNegatives } from "../../src/training/miners/hard-negative-miner.js";
import { noMiner, RandomMiner } from "../../src/training/miners/negative-miner.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { NO_FEEDBACK, naiveComponents, randomFeedback } from "./support.js";

const ITEMS = 80;

test("batches hold few lines of a component, each item once, and no negative from the anchor's component", () => {
  const random = new Random(seedOf("batches", 104));
  for (let round = 0; round < 150; round++) {
    const feedback = randomFeedback(random, ITEMS);
    const graph = new FeedbackGraph(feedback);
    const component = naiveComponents(feedback, ITEMS);
    const lines = trainingLines(graph, random);
    if (lines.length === 0) continue;
    const mined = new MinedNegatives();
    // Every item is a candidate: the sampler must leave out those that feedback ties to the anchor.
    const everything = random.shuffle(Array.from({ length: ITEMS }, (_, item) => item));
    for (const { anchor, positives } of lines) for (const p of positives) mined.set(anchor, p, everything);
    const itemsPerComponent = 1 + random.integer(3);
    const sampler = new BatchSampler(graph, lines, mined, { batchSize: 8, itemsPerComponent }, random);
    for (let step = 0; step < 12; step++) {
      const { items, anchors, positives, negatives } = sampler.next();
      const width = items.length;
      assert.ok(anchors.length > 0 && anchors.length <= 8 && width <= 24);
      assert.equal(new Set(items).size, width, "an item stands once");
      const linesOf = new Map<number, number>();
      for (const row of anchors) linesOf.set(component[items[row]!]!, (linesOf.get(component[items[row]!]!) ?? 0) + 1);
      assert.ok(Math.max(...linesOf.values()) <= itemsPerComponent, "few lines of a component");
      anchors.forEach((row, i) => {
        const anchor = items[row]!;
        const line = negatives.subarray(i * width, (i + 1) * width);
        const marks = graph.marked(anchor);
        if (positives[i] === row) {
          assert.ok(!graph.hasPositive(anchor) || marks.length > 0);
          const negative = [...items].filter((_, j) => line[j] === 1);
          assert.ok(negative.length === 1 && marks.includes(negative[0]!), "a lone anchor has one marked item");
          return;
        }
        assert.ok(graph.isPositive(anchor, items[positives[i]!]!));
        if (marks.length > 0)
          assert.ok(
            items.some((item) => marks.includes(item)),
            "marks come along",
          );
        for (const [j, item] of items.entries()) assert.equal(line[j], component[item] === component[anchor] ? 0 : 1);
      });
    }
  }
});

test("an epoch shows every line once", () => {
  const triplets = Array.from({ length: 30 }, (_, i): [number, number, number] => [3 * i, 3 * i + 1, 3 * i + 2]);
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, triplets });
  const lines = trainingLines(graph, new Random(1));
  assert.equal(lines.length, 30);
  const sampler = new BatchSampler(graph, lines, noMiner, { batchSize: 10 }, new Random(2));
  assert.equal(sampler.stepsPerEpoch, 3);
  const batches = [sampler.next(), sampler.next(), sampler.next()];
  const anchors = batches.flatMap(({ items, anchors }) => [...anchors].map((row) => items[row]!));
  assert.deepEqual(
    anchors.sort((a, b) => a - b),
    triplets.map(([anchor]) => anchor),
  );
});

test("lines: a triplet gives one, a similar pair two, a labelled item one, a lone mark one at either end", () => {
  const graph = new FeedbackGraph({
    triplets: [[0, 1, 2]],
    pairs: [
      [10, 11, "similar"],
      [20, 21, "dissimilar"],
      [10, 22, "dissimilar"],
    ],
    labels: [
      [30, "a"],
      [31, "a"],
      [32, "b"],
    ],
  });
  const lines = trainingLines(graph, new Random(1));
  assert.deepEqual(
    lines.map(({ anchor, positives, marked, alone }) => [anchor, positives, marked, alone]),
    [
      [0, [1], [2], false],
      [10, [11], [22], false],
      [11, [10], [], false],
      [30, [31], [], false],
      [31, [30], [], false],
      [20, [20], [21], true],
      [21, [21], [20], true],
    ],
  );
});

test("restricted to what is visible, lines keep no positive and no mark that is hidden", () => {
  const random = new Random(seedOf("restrict", 105));
  for (let round = 0; round < 100; round++) {
    const graph = new FeedbackGraph(randomFeedback(random, ITEMS));
    const hidden = new Set(Array.from({ length: 20 }, () => random.integer(ITEMS)));
    const visible = graph.without((item) => hidden.has(item));
    for (const line of restrictLines(trainingLines(graph, random), visible)) {
      for (const item of [line.anchor, ...line.positives, ...line.marked]) assert.ok(!hidden.has(item));
      assert.ok(line.alone || line.positives.every((item) => visible.isPositive(line.anchor, item)));
    }
  }
});

test("with items of few labels, a batch of P components x K items holds little more than its anchors", () => {
  const labels = Array.from({ length: 200 }, (_, item): [number, string] => [item, `label ${item % 10}`]);
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, labels });
  const random = new Random(seedOf("p x k", 110));
  const lines = trainingLines(graph, random);
  const sampler = new BatchSampler(graph, lines, noMiner, { batchSize: 32, itemsPerComponent: 4 }, random);
  assert.equal(sampler.batchSize, 32);
  assert.equal(sampler.stepsPerEpoch, 200 / 32);
  const { items, anchors, positives } = sampler.next();
  assert.equal(items.length, 32, "positives are anchors of other lines");
  assert.equal(anchors.length, 32);
  assert.equal(new Set(Array.from(items, (item) => item % 10)).size, 8);
  for (const [i, row] of anchors.entries()) assert.equal(items[row]! % 10, items[positives[i]!]! % 10);
});

test("a random miner offers any item that is not known to be similar, and none where all are", () => {
  const labels = Array.from({ length: 8 }, (_, item): [number, string] => [item, "a"]);
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, labels });
  const [line] = trainingLines(graph, new Random(1));
  const random = new Random(seedOf("random miner", 111));
  const found = new Set(Array.from({ length: 100 }, () => new RandomMiner(12).negative(graph, line!, 1, random)));
  assert.deepEqual(
    [...found].filter((item) => item >= 0).sort((a, b) => a - b),
    [8, 9, 10, 11],
  );
  assert.equal(new RandomMiner(8).negative(graph, line!, 1, random), -1);
});

test("a mined negative is one of the four nearest not known to be similar, of another label where there is one", () => {
  const graph = new FeedbackGraph({
    ...NO_FEEDBACK,
    pairs: [
      [0, 1, "similar"],
      [1, 2, "similar"],
      [30, 31, "similar"],
    ],
    labels: [
      [30, "a"],
      [40, "b"],
      [41, "b"],
    ],
  });
  const mined = new MinedNegatives();
  mined.set(0, 1, [2, 10, 11, 12, 13, 14]);
  mined.set(30, 31, [10, 11, 12, 13, 40]);
  const random = new Random(seedOf("mined", 112));
  const drawn = (anchor: number, positive: number) => {
    const line = { anchor, positives: [positive], marked: [], alone: false };
    const items = Array.from({ length: 60 }, () => mined.negative(graph, line, positive, random));
    return [...new Set(items)].sort((a, b) => a - b);
  };
  assert.deepEqual(drawn(0, 1), [10, 11, 12, 13]);
  assert.deepEqual(drawn(30, 31), [40]);
  assert.deepEqual(drawn(31, 30), [-1], "where none was mined, the batch has to do");
});
