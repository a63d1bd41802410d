import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../src/vector/index.js";

describe("Random", () => {
  it("repeats itself by seed, and differs between seeds", () => {
    const draw = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 5 }, () => random.uint32());
    };
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert.notDeepEqual(draw(1), draw(1 + 2 ** 32));
  });

  it("has the moments of its distributions", () => {
    const random = new Random(5);
    const n = 200_000;
    let uniform = 0;
    let normal = 0;
    let square = 0;
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < n; i++) {
      uniform += random.uniform();
      const x = random.normal();
      normal += x;
      square += x * x;
      const j = random.integer(7);
      counts[j] = counts[j]! + 1;
    }
    // Five standard errors each.
    assert.ok(Math.abs(uniform / n - 0.5) < 5 * Math.sqrt(1 / 12 / n));
    assert.ok(Math.abs(normal / n) < 5 / Math.sqrt(n));
    assert.ok(Math.abs(square / n - 1) < 5 * Math.sqrt(2 / n));
    for (const count of counts) assert.ok(Math.abs(count - n / 7) < 5 * Math.sqrt(n / 7));
  });

  it("shuffles into a permutation, typed arrays too", () => {
    const shuffled = new Random(9).shuffle(Uint32Array.from({ length: 100 }, (_, i) => i));
    assert.notDeepEqual(
      [...shuffled],
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.deepEqual(
      [...shuffled].sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i),
    );
  });
});
