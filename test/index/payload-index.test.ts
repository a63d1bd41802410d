import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Condition, Filter } from "../../schemas/filter.js";
import { Bitmap, PayloadIndex } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

type Payload = Record<string, unknown>;

/** The values a dotted path leads to, straight from the payload: every way of reading the dots, through arrays. */
function resolve(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap((element) => resolve(element, path));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === path) return [inner];
    return path.startsWith(`${key}.`) ? resolve(inner, path.slice(key.length + 1)) : [];
  });
}

const elements = (value: unknown): unknown[] => (Array.isArray(value) ? value.flatMap(elements) : [value]);

function accepts(payload: Payload, filter: Filter): boolean {
  const holds = (condition: Condition): boolean => {
    if (!("key" in condition)) return accepts(payload, condition);
    const found = resolve(payload, condition.key);
    if ("exists" in condition) return condition.exists === found.length > 0;
    return found.flatMap(elements).some((value) => {
      if ("equals" in condition) return value === condition.equals;
      if ("in" in condition) return condition.in.some((wanted) => value === wanted);
      if (typeof value !== "number" && typeof value !== "string") return false;
      const { gt, gte, lt, lte } = condition.range;
      const within = (bound: number | string | undefined, test: (bound: number | string) => boolean) =>
        bound === undefined || (typeof bound === typeof value && test(bound));
      return (
        within(gt, (b) => value > b) &&
        within(gte, (b) => value >= b) &&
        within(lt, (b) => value < b) &&
        within(lte, (b) => value <= b)
      );
    });
  };
  const { must = [], should, mustNot = [] } = filter;
  return must.every(holds) && (should === undefined || should.some(holds)) && !mustNot.some(holds);
}

/** Draws payloads and filters from few keys and values, so that they meet. */
class Draw {
  constructor(readonly random: Random) {}

  of<T>(choices: readonly T[]): T {
    return choices[this.random.integer(choices.length)]!;
  }

  scalar(): string | number | boolean | null {
    return this.of([null, true, false, 0, -0, 1, 1.5, -2, 100, "", "0", "1", "a", "b", "ab", "true", "null", "é"]);
  }

  value(depth: number): unknown {
    const kind = this.random.integer(depth > 2 ? 6 : 10);
    if (kind < 6) return this.scalar();
    if (kind < 8) return Array.from({ length: this.random.integer(4) }, () => this.value(depth + 1));
    return this.object(depth + 1);
  }

  object(depth: number): Payload {
    return Object.fromEntries(Array.from({ length: this.random.integer(4) }, () => [this.key(), this.value(depth)]));
  }

  key(): string {
    return this.of(["a", "b", "c", "a.b", "constructor", "__proto__x"]);
  }

  condition(depth: number): Condition {
    const key = Array.from({ length: 1 + this.random.integer(1 + this.random.integer(3)) }, () => this.key()).join(".");
    const kind = this.random.integer(depth > 2 ? 4 : 5);
    if (kind === 0) return { key, equals: this.scalar() };
    if (kind === 1) return { key, in: Array.from({ length: this.random.integer(4) }, () => this.scalar()) };
    if (kind === 2) return { key, exists: this.random.integer(2) === 0 };
    if (kind === 3) return { key, range: this.range() };
    return this.filter(depth + 1);
  }

  range() {
    const kind = this.random.integer(5);
    const bound = () =>
      kind === 0 ? this.of([0, "a", 1]) : kind < 3 ? this.of([-2, 0, 1, 1.5, 50]) : this.of(["", "a", "ab", "b"]);
    const range: { gt?: number | string; gte?: number | string; lt?: number | string; lte?: number | string } = {};
    for (const name of ["gt", "gte", "lt", "lte"] as const) if (this.random.integer(2) === 0) range[name] = bound();
    return Object.keys(range).length === 0 ? { gte: bound() } : range;
  }

  filter(depth = 0): Filter {
    const filter: Filter = {};
    const list = () => Array.from({ length: this.random.integer(3) }, () => this.condition(depth));
    if (this.random.integer(2) === 0) filter.must = list();
    if (this.random.integer(3) === 0) filter.should = list();
    if (this.random.integer(3) === 0) filter.mustNot = list();
    return filter;
  }
}

describe("PayloadIndex", () => {
  it("selects what a naive evaluation of every payload selects, through any changes", () => {
    const seed = seedOf("PayloadIndex", 1);
    const draw = new Draw(new Random(seed));
    const index = new PayloadIndex();
    const payloads = new Map<number, Payload>();
    let selected = 0;
    for (let step = 0; step < 3000; step++) {
      const label = draw.random.integer(150);
      if (draw.random.integer(3) > 0) {
        const payload = draw.object(0);
        index.set(label, payload);
        payloads.set(label, payload);
      } else {
        index.remove(label);
        payloads.delete(label);
      }
      // Labels that are live without payload, and payloads that are not live.
      const live = new Set([...payloads.keys(), 200, 201].filter((each) => each % 7 !== 3));
      const filter = draw.filter();
      const expected = [...live].filter((each) => accepts(payloads.get(each) ?? {}, filter)).sort((a, b) => a - b);
      assert.deepEqual(
        [...index.select(filter, Bitmap.of(live))],
        expected,
        `${JSON.stringify(filter)}, seed ${seed}, step ${step}`,
      );
      if (expected.length > 0 && expected.length < live.size) selected++;
    }
    assert.ok(selected > 500, `${selected} filters told items apart`);
  });

  it("keeps ranges right with many values, many of which go", () => {
    const random = new Random(seedOf("ranges", 2));
    const index = new PayloadIndex();
    const values = new Map<number, number[]>();
    for (let step = 0; step < 20_000; step++) {
      const label = random.integer(4000);
      const value = random.integer(1_000_000) / 8;
      if (random.integer(4) > 0) {
        const several = random.integer(3) === 0 ? [value, random.integer(1_000_000) / 8] : [value];
        index.set(label, { price: several, name: several.map(String) });
        values.set(label, several);
      } else {
        index.remove(label);
        values.delete(label);
      }
      if (step % 400 !== 0) continue;
      const [low, high] = [random.integer(125_000), random.integer(125_000)].sort((a, b) => a - b) as [number, number];
      const live = Bitmap.of(values.keys());
      const numbers = index.select({ must: [{ key: "price", range: { gte: low, lt: high } }] }, live);
      const expected = [...values]
        .filter(([, several]) => several.some((each) => each >= low && each < high))
        .map(([each]) => each);
      assert.deepEqual(
        [...numbers],
        expected.sort((a, b) => a - b),
      );
      const strings = index.select({ must: [{ key: "name", range: { gt: String(low), lte: String(high) } }] }, live);
      const within = [...values].filter(([, several]) =>
        several.some((each) => String(each) > String(low) && String(each) <= String(high)),
      );
      assert.deepEqual(
        [...strings],
        within.map(([each]) => each).sort((a, b) => a - b),
      );
    }
  });

  it("follows the contract in the cases it names", () => {
    const index = new PayloadIndex();
    index.set(0, { tags: ["x", "y"], note: null, place: { city: "Rome" } });
    index.set(1, { tags: [], note: "n" });
    index.set(2, null);
    const live = Bitmap.of([0, 1, 2]);
    const select = (filter: Filter) => [...index.select(filter, live)];
    assert.deepEqual(select({}), [0, 1, 2]);
    assert.deepEqual(select({ must: [{ key: "tags", equals: "y" }] }), [0]);
    assert.deepEqual(select({ must: [{ key: "note", equals: null }] }), [0]);
    assert.deepEqual(select({ must: [{ key: "note", exists: false }] }), [2]);
    assert.deepEqual(select({ must: [{ key: "tags", exists: true }] }), [0, 1]);
    assert.deepEqual(select({ must: [{ key: "place.city", in: ["Rome", "Bonn"] }] }), [0]);
    assert.deepEqual(select({ must: [{ key: "place", exists: true }] }), [0]);
    assert.deepEqual(select({ mustNot: [{ key: "tags", equals: "x" }] }), [1, 2]);
    assert.deepEqual(select({ should: [] }), []);
  });

  it("takes payloads nested thousands deep", () => {
    const index = new PayloadIndex();
    index.set(0, { a: JSON.parse(`${"[".repeat(20_000)}7${"]".repeat(20_000)}`) });
    index.set(1, JSON.parse(`${'{"a":'.repeat(10_000)}7${"}".repeat(10_000)}`));
    const live = Bitmap.of([0, 1]);
    assert.deepEqual([...index.select({ must: [{ key: "a", equals: 7 }] }, live)], [0]);
    const path = (depth: number) => Array.from({ length: depth }, () => "a").join(".");
    assert.deepEqual([...index.select({ must: [{ key: path(32), exists: true }] }, live)], [1]);
    assert.deepEqual([...index.select({ must: [{ key: path(33), exists: true }] }, live)], []);
    index.remove(0);
    index.remove(1);
    assert.deepEqual([...index.select({ must: [{ key: "a", exists: true }] }, live)], []);
  });
});
