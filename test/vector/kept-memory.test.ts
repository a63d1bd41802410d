import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { KeptMemory } from "../../src/vector/index.js";

const MIB = 1 << 20;
const NUMBERS = MIB / 4;

describe("memory that is used again", () => {
  // The first, for what others leave to the garbage collector would be counted too.
  it("is given to the system when little, when too much, and when nobody wanted it for a while", async () => {
    // In the first turn after loading it is given back in the next one.
    await sleep(10);
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const memory = new KeptMemory();
      const held = () => process.memoryUsage().arrayBuffers;
      const before = held();
      const all = Array.from({ length: 64 }, () => memory.takeFloats(NUMBERS));
      assert.ok(held() >= before + 64 * MIB);
      for (const one of all) memory.giveBack(one);
      assert.ok(held() <= before + 49 * MIB, `${held() - before} bytes are kept`);
      const small = memory.takeFloats(100).fill(3);
      memory.giveBack(small);
      mock.timers.tick(1999);
      assert.ok(held() >= before + 40 * MIB);
      mock.timers.tick(1);
      assert.ok(held() <= before + MIB, `${held() - before} bytes are kept for nobody`);
    } finally {
      mock.timers.reset();
    }
  });

  it("is what was given back, for wants of nearly its size, and no view of before sees it", () => {
    const memory = new KeptMemory();
    const first = memory.takeFloats(NUMBERS).fill(7);
    const view = first.subarray(5, 9);
    assert.equal(first.length, NUMBERS);
    memory.giveBack(first);
    assert.deepEqual([first.length, view.length], [0, 0]);
    const again = memory.takeFloats(NUMBERS - 3);
    assert.equal(again.length, NUMBERS - 3);
    assert.ok(again.every((x) => x === 7));
    memory.giveBack(again);
    // As bytes, and a little more of them.
    const bytes = memory.takeBytes(MIB + MIB / 16);
    assert.ok(bytes.length >= MIB + MIB / 16);
    assert.equal(bytes.readFloatLE(4 * 100), 7);
  });

  it("is given to one at a time", () => {
    const memory = new KeptMemory();
    memory.giveBack(memory.takeFloats(NUMBERS));
    const [one, other] = [memory.takeFloats(NUMBERS).fill(1), memory.takeFloats(NUMBERS).fill(2)];
    assert.ok(one.every((x) => x === 1) && other.every((x) => x === 2));
  });

  it("is not wasted on wants of less than half its size", () => {
    const memory = new KeptMemory();
    memory.giveBack(memory.takeFloats(4 * NUMBERS).fill(7));
    assert.ok(memory.takeFloats(NUMBERS).buffer.byteLength < 2 * MIB);
    assert.ok(memory.takeFloats(3 * NUMBERS).buffer.byteLength >= 16 * NUMBERS, "it is still there");
  });

  it("serves bytes of any number and numbers alike", () => {
    const memory = new KeptMemory();
    const bytes = memory.takeBytes(MIB + 1);
    assert.ok(bytes.length >= MIB + 1);
    memory.giveBack(bytes);
    assert.equal(memory.takeFloats(NUMBERS).length, NUMBERS);
  });
});
