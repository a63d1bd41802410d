import assert from "node:assert/strict";
import { test } from "node:test";
import { RowTable } from "../../src/training/rows/row-table.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

const D = 4;

/** A table of rows whose numbers tell their item, and how often each was read. */
function countedTable(maximumRows: number) {
  const reads = new Map<number, number>();
  const table = new RowTable(
    (item, target, at) => {
      reads.set(item, (reads.get(item) ?? 0) + 1);
      target.set(rowOf(item), at * D);
    },
    D,
    maximumRows * D * 4,
  );
  return { table, reads };
}

function rowOf(item: number): number[] {
  return Array.from({ length: D }, (_, i) => 100 * item + i);
}

test("a table reads each row once while it has room, and grows", () => {
  const random = new Random(seedOf("row table", 114));
  const { table, reads } = countedTable(10_000);
  for (let round = 0; round < 60; round++) {
    const items = Int32Array.from({ length: 200 }, () => random.integer(3_001) - 1);
    const places = table.places(items);
    items.forEach((item, i) => {
      const row = table.rows.subarray(places[i]! * D, (places[i]! + 1) * D);
      assert.deepEqual([...row], item < 0 ? new Array(D).fill(0) : rowOf(item));
    });
    const copied = new Float32Array(3 * D);
    const item = random.integer(3_000);
    table.copy(item, copied, 1);
    assert.deepEqual([...copied], [...new Array(D).fill(0), ...rowOf(item), ...new Array(D).fill(0)]);
  }
  assert.ok(table.rows.length >= reads.size * D && table.rows.length <= 4 * 3_001 * D);
  assert.deepEqual(new Set(reads.values()), new Set([1]));
});

test("a full table keeps what it has for single rows, and begins anew for many", () => {
  const { table, reads } = countedTable(9);
  const all = Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  table.places(all);
  const copied = new Float32Array(D);
  for (const _ of [1, 2]) table.copy(20, copied, 0);
  assert.deepEqual([[...copied], reads.get(20)], [rowOf(20), 2], "there was no room to keep it");
  const places = table.places(Int32Array.of(8, -1, 30));
  assert.deepEqual([...table.rows.subarray(places[0]! * D, (places[0]! + 1) * D)], rowOf(8));
  assert.deepEqual([...table.rows.subarray(places[2]! * D, (places[2]! + 1) * D)], rowOf(30));
  assert.deepEqual([places[1], [...table.rows.subarray(0, D)]], [0, [0, 0, 0, 0]]);
  assert.deepEqual([reads.get(8), reads.get(7)], [2, 1]);
  assert.equal(table.rows.length, 9 * D);
});
