import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, TopK } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

describe("TopK", () => {
  it("keeps what a full sort keeps, ties by label", () => {
    const random = new Random(seedOf("TopK", 3));
    for (let round = 0; round < 300; round++) {
      const k = random.integer(120);
      const count = random.integer(200);
      const labels = random.shuffle(Array.from({ length: count }, (_, i) => i));
      const candidates = labels.map((label) => ({ label, distance: random.integer(20) }));
      const top = new TopK(k);
      for (const { label, distance } of candidates) top.push(label, distance);
      const expected = [...candidates].sort((a, b) => a.distance - b.distance || a.label - b.label).slice(0, k);
      if (expected.length === k && k > 0) assert.equal(top.bound, expected.at(-1)!.distance);
      const hits = top.sorted();
      assert.deepEqual(
        [...hits.labels],
        expected.map((c) => c.label),
      );
      assert.deepEqual(
        [...hits.distances],
        expected.map((c) => c.distance),
      );
    }
  });
});
