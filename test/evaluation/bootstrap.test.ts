import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap } from "../../src/evaluation/index.js";
import { Random } from "../../src/vector/random.js";

const seed = Number(process.env.ATTUNE_SEED ?? 20262);

test("the same seed gives the same bounds, another seed others", () => {
  const differences = [0.3, -0.1, 0.4, 0.2, 0.9, -0.5];
  assert.deepEqual(bootstrap(differences, { seed: 4 }), bootstrap(differences, { seed: 4 }));
  assert.notDeepEqual(bootstrap(differences, { seed: 4 }), bootstrap(differences, { seed: 5 }));
});

test("the bounds of two values are the binomial distribution's quantiles", () => {
  // Of ten draws from {0, 1} with five ones: P(sum <= 2) = .0547 and P(sum <= 1) = .0107, so 5% lies at .2.
  const differences = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
  const { mean, low, high } = bootstrap(differences, { seed: 1, resamples: 40_000 });
  assert.equal(mean, 0.5);
  assert.ok(Math.abs(low - 0.2) < 1e-9, `low ${low}`);
  assert.ok(Math.abs(high - 0.8) < 1e-9, `high ${high}`);
});

test(`the bounds of many normal values are those of the normal distribution (seed ${seed})`, () => {
  const random = new Random(seed);
  const differences = Array.from({ length: 2_000 }, () => 0.1 + random.normal());
  const { mean, low, high } = bootstrap(differences, { seed });
  const variance = differences.reduce((sum, x) => sum + (x - mean) ** 2, 0) / differences.length;
  const expected = 1.6449 * Math.sqrt(variance / differences.length);
  assert.ok(Math.abs(mean - low - expected) < expected * 0.06, `low ${low}`);
  assert.ok(Math.abs(high - mean - expected) < expected * 0.06, `high ${high}`);
});

test(`the lower bound is above zero by chance about one time in twenty (seed ${seed})`, () => {
  const random = new Random(seed);
  let passed = 0;
  for (let trial = 0; trial < 400; trial++) {
    const differences = Array.from({ length: 60 }, () => random.normal());
    if (bootstrap(differences, { seed: trial, resamples: 400 }).low > 0) passed++;
  }
  assert.ok(passed >= 8 && passed <= 40, `${passed} of 400`);
});

test("no difference, a difference that is not finite and impossible options are refused", () => {
  assert.throws(() => bootstrap([], { seed: 1 }), RangeError);
  assert.throws(() => bootstrap([1, Number.NaN], { seed: 1 }), RangeError);
  assert.throws(() => bootstrap([1], { seed: 1, confidence: 1 }), RangeError);
  assert.throws(() => bootstrap([1], { seed: 1, resamples: 3 }), RangeError);
});
