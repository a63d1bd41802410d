import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bitmap } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const sorted = (set: Set<number>) => [...set].sort((a, b) => a - b);

describe("Bitmap", () => {
  it("behaves as a set under random operations", () => {
    const random = new Random(seedOf("Bitmap", 1));
    for (let round = 0; round < 60; round++) {
      const range = 1 + random.integer(400);
      const draw = () => new Set(Array.from({ length: random.integer(200) }, () => random.integer(range)));
      const [a, b] = [draw(), draw()];
      const [x, y] = [Bitmap.of(a), Bitmap.of(b)];
      for (const label of [...a].slice(0, 5)) {
        a.delete(label);
        x.clear(label);
      }
      x.clear(10_000);
      assert.deepEqual([...x], sorted(a));
      assert.equal(x.count(), a.size);
      for (let label = 0; label < range + 40; label++) assert.equal(x.has(label), a.has(label));
      assert.deepEqual([...x.clone().and(y)], sorted(new Set([...a].filter((label) => b.has(label)))));
      assert.deepEqual([...x.clone().or(y)], sorted(new Set([...a, ...b])));
      assert.deepEqual([...x.clone().andNot(y)], sorted(new Set([...a].filter((label) => !b.has(label)))));
      assert.equal(x.countAnd(y), [...a].filter((label) => b.has(label)).length);
      const from = random.integer(range);
      assert.deepEqual(
        x.next(from, 7),
        sorted(a)
          .filter((label) => label >= from)
          .slice(0, 7),
      );
      assert.deepEqual([...x], sorted(a), "and, or and andNot of a clone leave the set alone");
    }
  });

  it("holds labels beyond 2^31", () => {
    const bitmap = new Bitmap(new Uint32Array(0));
    assert.ok(!bitmap.has(4_294_967_294));
    bitmap.clear(4_294_967_294);
    assert.equal(bitmap.count(), 0);
  });
});
