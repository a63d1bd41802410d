import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bitmap } from "../../src/index/bitmap.js";
import { PendingRows } from "../../src/index/pending-rows.js";
import { metricOf, Random, TopK } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const DIMENSIONS = 3;

function pendingRows(most = 40) {
  return new PendingRows(DIMENSIONS, metricOf("euclidean"), most);
}

const row = (number: number) => Float32Array.of(number, 2 * number, 1);

describe("rows that wait for the graph", () => {
  it("are taken out in the order in which they came, also after the ring has gone around", () => {
    const pending = pendingRows();
    let next = 0;
    let taken = 0;
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 7 + (round % 5); i++) pending.set(next, row(next++));
      const { labels, rows } = pending.take(7);
      for (const [i, label] of labels.entries()) {
        assert.equal(label, taken++);
        assert.deepEqual(rows.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS), row(label));
      }
    }
    assert.equal(pending.size, next - taken);
  });

  it("are what was set and not deleted or taken since, and a search finds the nearest of them", () => {
    const random = new Random(seedOf("rows that wait", 11));
    const pending = pendingRows();
    const expected = new Map<number, Float32Array>();
    for (let step = 0; step < 4000; step++) {
      const label = random.integer(200);
      const chance = random.uniform();
      if (chance < 0.55) {
        const given = Float32Array.from({ length: DIMENSIONS }, () => random.normal());
        pending.set(label, given);
        expected.set(label, given.slice());
        given.fill(Number.NaN);
      } else if (chance < 0.8) {
        pending.delete(label);
        expected.delete(label);
      } else if (chance < 0.97) {
        const { labels, rows } = pending.take(random.integer(9));
        for (const [i, gone] of labels.entries()) {
          assert.deepEqual(rows.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS), expected.get(gone));
          expected.delete(gone);
        }
      } else if (chance < 0.972) {
        pending.clear();
        expected.clear();
      }
      assert.equal(pending.size, expected.size);
      assert.equal(pending.has(label), expected.has(label));
      if (expected.has(label)) assert.deepEqual(pending.row(label), expected.get(label));
      if (step % 20 === 0) checkSearch(pending, expected, random);
    }
  });

  it("count the memory that is in use, not what there is room for", () => {
    const pending = pendingRows(1000);
    for (let label = 0; label < 100; label++) pending.set(label, row(label));
    const bytes = 100 * DIMENSIONS * 4 + 1000 * 4;
    assert.equal(pending.bytes, bytes);
    pending.take(60);
    assert.equal(pending.bytes, bytes);
    // All around the ring.
    for (let label = 100; label < 1050; label++) pending.set(label, row(label));
    assert.equal(pending.bytes, 1000 * DIMENSIONS * 4 + 1000 * 4);
  });

  it("give the memory of a burst back when the last has gone", () => {
    const pending = pendingRows();
    const empty = pending.bytes;
    for (const empties of [() => pending.clear(), () => pending.take(5000), () => deleteAll(pending)]) {
      for (let label = 0; label < 5000; label++) pending.set(label, row(label));
      assert.ok(pending.bytes >= 5000 * DIMENSIONS * 4);
      empties();
      assert.equal(pending.bytes, empty);
    }
  });
});

function deleteAll(pending: PendingRows): void {
  for (let label = 0; label < 5000; label++) pending.delete(label);
}

/** Against distances by their definition. */
function checkSearch(pending: PendingRows, expected: Map<number, Float32Array>, random: Random): void {
  const query = Float32Array.from({ length: DIMENSIONS }, () => random.normal());
  for (const allow of [undefined, new Bitmap(Uint32Array.from({ length: 7 }, () => 0x55555555))]) {
    const top = new TopK(5);
    pending.search(query, top, allow);
    const distances = [...expected]
      .filter(([label]) => allow === undefined || label % 2 === 0)
      .map(([label, { 0: x, 1: y, 2: z }]) => ({
        label,
        distance: Math.hypot(query[0]! - x!, query[1]! - y!, query[2]! - z!),
      }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 5);
    assert.deepEqual(
      [...top.sorted().labels],
      distances.map(({ label }) => label),
    );
  }
}
