import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchSampler } from "../../src/training/batches/batch-sampler.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { trainingLines } from "../../src/training/feedback/training-lines.js";
import { rowsByRole } from "../../src/training/head/rows-by-role.js";
import { RandomMiner } from "../../src/training/miners/negative-miner.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { randomFeedback } from "./support.js";

const ITEMS = 60;
const N = 8;

test("rows by role hold the anchors, their positives, then the rest, and each anchor's negatives once", () => {
  const random = new Random(seedOf("rows by role", 113));
  let lone = 0;
  for (let round = 0; round < 100; round++) {
    const graph = new FeedbackGraph(randomFeedback(random, ITEMS));
    const lines = trainingLines(graph, random);
    if (lines.length === 0) continue;
    const itemsPerComponent = 1 + random.integer(3);
    const sampler = new BatchSampler(graph, lines, new RandomMiner(ITEMS), { batchSize: N, itemsPerComponent }, random);
    const batches = [sampler.next(), sampler.next(), sampler.next()];
    const { items, negatives } = rowsByRole(batches, N);
    assert.deepEqual([items.length, negatives.length], [3 * 3 * N, 3 * N * 3 * N]);
    for (const [k, batch] of batches.entries()) {
      const rows = items.subarray(k * 3 * N, (k + 1) * 3 * N);
      const filling = (count: number) => new Array<number>(N - count).fill(-1);
      const named = (positions: Int32Array) => Array.from(positions, (row) => batch.items[row]!);
      const count = batch.anchors.length;
      assert.deepEqual([...rows.subarray(0, N)], [...named(batch.anchors), ...filling(count)]);
      assert.deepEqual([...rows.subarray(N, 2 * N)], [...named(batch.positives), ...filling(count)]);
      assert.deepEqual(new Set([...rows].filter((item) => item >= 0)), new Set(batch.items), "no item is lost");
      for (let i = 0; i < N; i++) {
        const line = negatives.subarray((k * N + i) * 3 * N, (k * N + i + 1) * 3 * N);
        const found = [...rows].filter((_, row) => line[row] === 1);
        const width = batch.items.length;
        const expected = i < count ? [...batch.items].filter((_, row) => batch.negatives[i * width + row] === 1) : [];
        assert.deepEqual(found.sort(ascending), expected.sort(ascending), "each negative stands once");
        if (i < count && batch.anchors[i] === batch.positives[i]) lone++;
      }
    }
  }
  assert.ok(lone > 0, "lone anchors, their own positives, were among them");
});

function ascending(a: number, b: number): number {
  return a - b;
}
