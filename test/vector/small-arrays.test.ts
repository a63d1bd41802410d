import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, smallBytes, smallFloat64 } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

describe("small arrays", () => {
  it("have the length asked for, and no two the same memory, however many there are", () => {
    const random = new Random(seedOf("small arrays", 1));
    const bytes: Uint8Array[] = [];
    const numbers: Float64Array[] = [];
    const lengths = [0, 1, 7, 8, 9, 4096, 4097, 100_000, ...Array.from({ length: 500 }, () => random.integer(3000))];
    for (const [i, length] of lengths.entries()) {
      bytes.push(smallBytes(length).fill(i));
      numbers.push(smallFloat64(length >> 3).fill(-i));
    }
    for (const [i, length] of lengths.entries()) {
      assert.deepEqual([bytes[i]!.length, numbers[i]!.length], [length, length >> 3]);
      assert.ok(bytes[i]!.every((byte) => byte === (i & 255)));
      assert.ok(numbers[i]!.every((number) => number === -i));
    }
  });

  it("begin where float32 and float64 numbers may", () => {
    for (const length of [1, 2, 3, 5, 4, 2048]) {
      assert.equal(smallBytes(length).byteOffset % 8, 0);
      assert.equal(smallFloat64(1).byteOffset % 8, 0);
    }
  });
});
