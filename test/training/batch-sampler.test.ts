import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchSampler, batchColumns, negativeMask } from "../../src/training/batches/batch-sampler.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { restrictLines, trainingLines } from "../../src/training/feedback/training-lines.js";
import { MinedNegatives } from "../../src/training/miners/hard-negative-miner.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { NO_FEEDBACK, naiveComponents, randomFeedback } from "./support.js";

const ITEMS = 80;

test("batches hold no component twice, and no negative from the anchor's component", () => {
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
    const sampler = new BatchSampler(graph, lines, mined, 8, random);
    for (let step = 0; step < 12; step++) {
      const batch = sampler.next();
      assert.ok(batch.length > 0 && batch.length <= 8);
      const components = batch.map((line) => component[line.anchor]);
      assert.equal(new Set(components).size, batch.length, "a component stands in the batch once");
      const columns = batchColumns(batch, 8);
      const mask = negativeMask(graph, batch, 8);
      batch.forEach((line, row) => {
        const marks = graph.marked(line.anchor);
        if (line.alone) assert.ok(line.positive === line.anchor && marks.includes(line.negative));
        else assert.equal(component[line.positive], component[line.anchor]);
        if (marks.length > 0) assert.ok(marks.includes(line.negative), "marks come before mining");
        if (line.negative >= 0) assert.notEqual(component[line.negative], component[line.anchor]);
        for (let column = 0; column < 24; column++) {
          const item = columns[column]!;
          const own = column === 16 + row;
          const valid = item >= 0 && component[item] !== component[line.anchor] && (!line.alone || own);
          assert.equal(mask[row * 24 + column], valid ? 1 : 0);
        }
      });
      assert.ok(mask.subarray(batch.length * 24).every((value) => value === 0));
    }
  }
});

test("an epoch shows every line once", () => {
  const triplets = Array.from({ length: 30 }, (_, i): [number, number, number] => [3 * i, 3 * i + 1, 3 * i + 2]);
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, triplets });
  const lines = trainingLines(graph, new Random(1));
  assert.equal(lines.length, 30);
  const sampler = new BatchSampler(graph, lines, new MinedNegatives(), 10, new Random(2));
  assert.equal(sampler.stepsPerEpoch, 3);
  const anchors = [sampler.next(), sampler.next(), sampler.next()].flat().map((line) => line.anchor);
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
