import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryTrim } from "../../src/index/memory-trim.js";
import { hasNativeFunctions, hnswlib } from "../../src/native/index.js";
import { freeArray } from "../../src/vector/index.js";

const MIB = 2 ** 20;

describe("what a burst of writes leaves behind", () => {
  it("is given back when no rows came for a while after many did, once", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      let trims = 0;
      const trim = new MemoryTrim(() => trims++);
      trim.came(3 * MIB);
      trim.rests();
      mock.timers.tick(60_000);
      assert.equal(trims, 0, "too few came");
      trim.came(3 * MIB);
      trim.rests();
      mock.timers.tick(3000);
      // More comes before the burst is over.
      trim.came(1);
      trim.rests();
      mock.timers.tick(3000);
      assert.equal(trims, 0);
      trim.rests();
      mock.timers.tick(1000);
      assert.equal(trims, 1);
      trim.rests();
      mock.timers.tick(60_000);
      assert.equal(trims, 1, "none came since");
      trim.came(5 * MIB);
      trim.rests();
      trim.stop();
      mock.timers.tick(60_000);
      assert.equal(trims, 1, "the index was closed");
    } finally {
      mock.timers.reset();
    }
  });

  it("is memory that malloc keeps between pieces in use", { skip: !hasNativeFunctions(hnswlib) }, async () => {
    // In the first turn after loading it is freed in the next one.
    await sleep(10);
    const pieces = Array.from({ length: 2000 }, () => Buffer.allocUnsafeSlow(60 * 1024).fill(1));
    for (const [i, piece] of pieces.entries()) if (i % 2 === 0) freeArray(piece);
    const before = process.memoryUsage.rss();
    if (hasNativeFunctions(hnswlib)) hnswlib.trimMemory();
    const after = process.memoryUsage.rss();
    assert.ok(before - after > 30 * MIB, `${before - after} bytes were given back of ${1000 * 60 * 1024}`);
    assert.ok(pieces.filter((piece) => piece.length > 0).every((piece) => piece[0] === 1 && piece.at(-1) === 1));
  });
});
