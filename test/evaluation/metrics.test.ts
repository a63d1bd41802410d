import assert from "node:assert/strict";
import { test } from "node:test";
import {
  logRank,
  midRank,
  mrrAtK,
  ndcgAtK,
  precisionAtK,
  recallAtK,
  tripletAccuracy,
} from "../../src/evaluation/index.js";
import { Random } from "../../src/vector/random.js";

const seed = Number(process.env.ATTUNE_SEED ?? 20261);
const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

test(`ranking metrics agree with naive loops over random rankings (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const retrieved = random.shuffle(Array.from({ length: 1 + random.integer(20) }, (_, i) => i));
    const relevant = new Set(Array.from({ length: random.integer(6) }, () => random.integer(25)));
    const k = 1 + random.integer(12);
    const isRelevant = (item: number) => relevant.has(item);
    let hits = 0;
    let first = 0;
    let gained = 0;
    for (let position = 1; position <= k; position++) {
      const item = retrieved[position - 1];
      if (item === undefined || !relevant.has(item)) continue;
      hits++;
      if (first === 0) first = position;
      gained += Math.LN2 / Math.log(position + 1);
    }
    let ideal = 0;
    for (let position = 1; position <= Math.min(k, relevant.size); position++) {
      ideal += Math.LN2 / Math.log(position + 1);
    }
    assert.equal(recallAtK(retrieved, isRelevant, k), hits > 0 ? 1 : 0);
    close(precisionAtK(retrieved, isRelevant, k), hits / k);
    close(mrrAtK(retrieved, isRelevant, k), first === 0 ? 0 : 1 / first);
    close(ndcgAtK(retrieved, isRelevant, relevant.size, k), ideal === 0 ? 0 : gained / ideal);
  }
});

test("nDCG of a published example", () => {
  // Relevant at 1, 3 and 4 of 4, three relevant in all: (1 + .5 + .430677) / (1 + .630930 + .5).
  const value = ndcgAtK([1, 0, 1, 1], (item) => item === 1, 3, 4);
  assert.ok(Math.abs(value - 1.930677 / 2.13093) < 1e-6);
});

test("a k below 1 is refused", () => {
  for (const k of [0, -1, 1.5, Number.NaN]) assert.throws(() => recallAtK([1], () => true, k), RangeError);
});

test("triplet accuracy counts a tie one half and nothing as 0", () => {
  assert.equal(tripletAccuracy([]), 0);
  const triplets = [
    { positive: 1, negative: 2 },
    { positive: 2, negative: 2 },
    { positive: 3, negative: 2 },
    { positive: 0, negative: 2 },
  ];
  assert.equal(tripletAccuracy(triplets), 2.5 / 4);
});

test("the log-rank is the mean natural logarithm, and ties rank in the middle", () => {
  close(logRank([1]), 0);
  close(logRank([1, 100]), Math.log(10));
  assert.equal(midRank(0, 0), 1);
  assert.equal(midRank(3, 0), 4);
  assert.equal(midRank(0, 100), 51);
  assert.throws(() => logRank([]), RangeError);
});
