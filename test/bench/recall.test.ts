import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clusteredVectors } from "../../bench/support/clustered-vectors.js";
import { classTriplets, learnableVectors } from "../../bench/support/learnable-vectors.js";
import { meanRecall, smallestEfSearch } from "../../bench/support/recall.js";
import { Random } from "../../src/vector/index.js";

describe("recall in benchmarks", () => {
  it("is the mean share of what should be found", () => {
    const sets = (...lists: number[][]) => lists.map((list) => new Set(list));
    assert.equal(meanRecall(sets([1, 2, 9], [4]), sets([1, 2], [4, 5])), 0.75);
    assert.equal(meanRecall(sets(), sets([1])), 0);
  });

  it("decides by which efSearch systems are compared: the smallest that reaches what is wanted", async () => {
    const tried: number[] = [];
    const recallAt = async (ef: number) => tried.push(ef) && Math.min(1, ef / 50);
    assert.deepEqual(await smallestEfSearch(20, 0.9, recallAt), { efSearch: 45, recall: 0.9 });
    assert.deepEqual(tried, [20, 24, 32, 40, 48, 44, 46, 45]);
    assert.deepEqual(await smallestEfSearch(20, 0.4, recallAt), { efSearch: 20, recall: 0.4 });
    assert.deepEqual(await smallestEfSearch(15, 0.3, recallAt), { efSearch: 15, recall: 0.3 });
    await assert.rejects(
      smallestEfSearch(10, 0.99, async () => 0.5),
      /up to 1000 reaches recall 0.99/,
    );
  });
});

describe("made-up vectors", () => {
  const norms = (rows: Float32Array, dimensions: number) =>
    Array.from({ length: rows.length / dimensions }, (_, i) =>
      Math.hypot(...rows.subarray(i * dimensions, (i + 1) * dimensions)),
    );

  it("are of length 1 and the same for the same seed", () => {
    const [one, same, other] = [7, 7, 8].map((seed) => learnableVectors(seed, 50, 5, 16));
    assert.deepEqual(one, same);
    assert.notDeepEqual(one?.rows, other?.rows);
    for (const rows of [one?.rows, one?.queries, clusteredVectors(7, 50, 5, 16).rows]) {
      assert.ok(norms(rows!, 16).every((norm) => Math.abs(norm - 1) < 1e-5));
    }
  });

  it("have triplets whose positive is of the anchor's class and whose negative is not", () => {
    const { classOfRow } = learnableVectors(7, 200, 0, 16, 5);
    const triplets = classTriplets(new Random(7), classOfRow, 300);
    assert.equal(triplets.length, 300);
    for (const { anchor, positive, negative } of triplets) {
      assert.equal(classOfRow[positive], classOfRow[anchor]);
      assert.notEqual(classOfRow[negative], classOfRow[anchor]);
      assert.notEqual(positive, anchor);
    }
  });
});
