import assert from "node:assert/strict";
import test from "node:test";
import type { Filter, Payload } from "../../schemas/index.js";
import { ItemTable } from "../../src/collection/items/item-table.js";
import { RecentFilters } from "../../src/collection/items/recent-filters.js";
import { PayloadIndex } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

test("a filter lets through what its items' payloads say now, however often it is asked for and whatever is written between", () => {
  const random = new Random(seedOf("recent filters", 1));
  const state = { table: new ItemTable(), payloads: new PayloadIndex(), sequence: 0 };
  const recent = new RecentFilters(state);
  const items = new Map<number, Payload>();
  for (let step = 0; step < 2000; step++) {
    if (random.uniform() < 0.1) {
      const label = random.integer(60);
      if (random.uniform() < 0.3) {
        items.delete(label);
        state.table.remove(`i${label}`);
        state.payloads.remove(label);
      } else {
        const payload = { n: random.integer(30) };
        items.set(label, payload);
        state.table.set(`i${label}`, label, step, true);
        state.payloads.set(label, payload);
      }
      state.sequence++;
    }
    const below = random.integer(30);
    const filter: Filter = { must: [{ key: "n", range: { lt: below } }] };
    const expected = [...items].filter(([, { n }]) => (n as number) < below).map(([label]) => label);
    assert.deepEqual(
      [...recent.select(filter)],
      expected.sort((a, b) => a - b),
    );
  }
});

test("the same filter is evaluated once between two writes; not one of many kilobytes, and not one that 16 others came after", () => {
  let evaluated = 0;
  class Counting extends PayloadIndex {
    override select(...args: Parameters<PayloadIndex["select"]>) {
      evaluated++;
      return super.select(...args);
    }
  }
  const state = { table: new ItemTable(), payloads: new Counting(), sequence: 0 };
  const recent = new RecentFilters(state);
  const filterOf = (value: string): Filter => ({ must: [{ key: "tenant", equals: value }] });
  const evaluations = (...values: string[]) => {
    const before = evaluated;
    for (const value of values) recent.select(filterOf(value));
    return evaluated - before;
  };
  assert.equal(evaluations("a", "b", "a", "b"), 2);
  state.sequence++;
  assert.equal(evaluations("a", "a"), 1);
  const others = Array.from({ length: 16 }, (_, i) => `other ${i}`);
  assert.equal(evaluations(...others, ...others), 16);
  assert.equal(evaluations("a"), 1);
  const long = "x".repeat(5000);
  assert.equal(evaluations(long, long), 2);
});
