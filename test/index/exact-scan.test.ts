import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExactScan } from "../../src/index/exact-scan.js";
import { Bitmap } from "../../src/index/index.js";
import { RowFile } from "../../src/index/row-file.js";
import { FileRows } from "../../src/index/scanned-rows.js";
import { NATIVE_COSTS, planSearch, STOCK_COSTS } from "../../src/index/search-plan.js";
import { metricOf } from "../../src/vector/index.js";
import { RowModel } from "./support.js";

describe("ExactScan", () => {
  const model = new RowModel(1, "euclidean");
  for (let label = 0; label < 10; label++) model.write(label, Float32Array.of(label));
  const rows = new FileRows(new RowFile(model.source, metricOf("euclidean")));
  const scanOf = (...labels: number[]) => new ExactScan(rows, Bitmap.of(labels));
  const all = { first: 0, count: 2 };
  const finish = (scan: ExactScan) => {
    if (!scan.begun) scan.join(Float32Array.of(0, 9), 2);
    while (!scan.step());
    return scan.finish(all);
  };

  it("answers each query with the nearest of the labels given", () => {
    const { hits, disturbed } = finish(scanOf(1, 3, 5, 8));
    assert.deepEqual(
      hits.map(({ labels }) => [...labels]),
      [
        [1, 3],
        [8, 5],
      ],
    );
    assert.deepEqual([...hits[0]!.distances], [1, 3]);
    assert.equal(disturbed, false);
  });

  it("answers searches that join before its first step each by itself", () => {
    const scan = scanOf(1, 3, 5, 8);
    const shares = [scan.join(Float32Array.of(0), 1), scan.join(Float32Array.of(9, 4), 3)];
    assert.equal(scan.begun, false);
    while (!scan.step()) assert.equal(scan.begun, true);
    const found = shares.map((share) => scan.finish(share).hits.map(({ labels }) => [...labels]));
    assert.deepEqual(found, [
      [[1]],
      [
        [8, 5, 3],
        [3, 5, 1],
      ],
    ]);
  });

  it("leaves out rows touched under it, and says when one of them mattered", () => {
    const before = scanOf(1, 3, 5, 8);
    before.touch(1);
    assert.deepEqual(
      finish(before).hits.map(({ labels }) => [...labels]),
      [
        [3, 5],
        [8, 5],
      ],
    );
    const during = scanOf(1, 3, 5, 8);
    during.join(Float32Array.of(0, 9), 2);
    during.step();
    during.touch(1);
    const { hits, disturbed } = finish(during);
    assert.deepEqual([...hits[0]!.labels], [3]);
    assert.equal(disturbed, true);
    const elsewhere = scanOf(1, 3, 5, 8);
    elsewhere.join(Float32Array.of(0, 9), 2);
    elsewhere.step();
    elsewhere.touch(2);
    assert.equal(finish(elsewhere).disturbed, false);
  });
});

for (const [build, costs] of Object.entries({ stock: STOCK_COSTS, native: NATIVE_COSTS }))
  describe(`planSearch, ${build}`, () => {
    const shape = { dimensions: 512, live: 100_000, breadth: 64, filtered: true, exact: false };

    it("compares few matches, and walks the graph for many", () => {
      assert.equal(planSearch({ ...shape, matches: 500 }, costs).compares, true);
      assert.equal(planSearch({ ...shape, matches: 50_000 }, costs).compares, false);
      assert.equal(planSearch({ ...shape, matches: 100_000, filtered: false }, costs).compares, false);
    });

    it("compares when the walk would keep a quarter of what matches", () => {
      assert.equal(planSearch({ ...shape, matches: 200, live: 200, filtered: false }, costs).compares, true);
      assert.equal(planSearch({ ...shape, matches: 100_000, breadth: 30_000, filtered: false }, costs).compares, true);
    });

    it("compares when nothing else will do", () => {
      assert.equal(planSearch({ ...shape, matches: 100_000, filtered: false, exact: true }, costs).compares, true);
    });

    it("changes sides once as matches grow", () => {
      const sides = Array.from(
        { length: 100 },
        (_, i) => planSearch({ ...shape, matches: 1000 * (i + 1) }, costs).compares,
      );
      const changes = sides.filter((side, i) => i > 0 && side !== sides[i - 1]).length;
      assert.ok(changes <= 1, `${changes} changes`);
    });
  });
