import assert from "node:assert/strict";
import { test } from "node:test";
import { WeightAverage } from "../../src/training/optimizer/weight-average.js";
import { Random } from "../../src/vector/index.js";

test("the first five weights count alike, then each new one counts a fifth", () => {
  const random = new Random(1);
  const seen = Array.from({ length: 12 }, () => Float32Array.from({ length: 3 }, () => random.normal()));
  const average = new WeightAverage(3);
  seen.forEach((weights, i) => {
    const mean = average.add(weights);
    for (const [at, value] of mean.entries()) {
      // Written out: the plain mean of the first five, each faded by .8 a look, and what came after them.
      const first = seen.slice(0, Math.min(i + 1, 5)).map((each) => each[at]!);
      let expected = first.reduce((sum, each) => sum + each, 0) / first.length;
      for (let later = 5; later <= i; later++) expected = 0.8 * expected + 0.2 * seen[later]![at]!;
      assert.ok(Math.abs(value - expected) < 1e-6, `look ${i + 1}: ${value}, expected ${expected}`);
    }
  });
});

test("what was given stays as it was when more is taken in", () => {
  const average = new WeightAverage(1);
  const first = average.add(Float32Array.of(2));
  average.add(Float32Array.of(4));
  assert.deepEqual([...first], [2]);
});
