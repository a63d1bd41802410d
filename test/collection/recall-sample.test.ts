import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { RecallSample } from "../../src/collection/generations/recall-sample.js";
import { openExactIndex } from "../../src/index/exact-index.js";
import { openHnswIndex, type SearchOptions } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { VectorFile } from "../../storage/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const COUNT = 150;
const DIMENSIONS = 6;
const K = 10;

for (const metric of ["cosine", "euclidean"] as const) {
  test(`the recall of an index is the share of the ten nearest that it finds, by ${metric}`, async (t) => {
    const random = new Random(seedOf("recall sample", 5));
    const rows = await VectorFile.open(join(temporaryDirectory(t), "rows.f32"), DIMENSIONS);
    t.after(() => rows.close());
    const labels = Uint32Array.from({ length: COUNT }, (_, i) => i);
    const vectors = Float32Array.from({ length: COUNT * DIMENSIONS }, () => random.normal());
    await rows.write(labels, vectors);
    const source = { rows, labels, rules: { dimensions: DIMENSIONS, metric } };
    // No more items than a sample has: every item is asked for.
    const sample = await RecallSample.draw(source, { threads: 1, signal: new AbortController().signal });
    const indexOf = async (held: Uint32Array) => {
      const live = { labels: held, sequences: new Float64Array(held.length) };
      const index = await openExactIndex({ rows: { path: rows.path, dimensions: DIMENSIONS }, metric, live });
      t.after(() => index.close());
      return index;
    };
    assert.equal(await sample.recallIn(await indexOf(labels), 64), 1);

    const two = await indexOf(labels.filter((label) => label % 3 !== 0));
    const expected = naiveShare(vectors, metric, (label) => label % 3 !== 0);
    const recall = await sample.recallIn(two, 64);
    // What is as far as the tenth, within rounding, counts as one of the ten.
    assert.ok(recall >= expected - 1e-12 && recall < expected + 0.003, `${recall} is not ${expected}`);
  });
}

test("what has found all its nearest is not asked again with a wider search, and the recall is that of asking all", async (t) => {
  const random = new Random(seedOf("recall sample widening", 6));
  const count = 1200;
  const dimensions = 16;
  const rows = await VectorFile.open(join(temporaryDirectory(t), "rows.f32"), dimensions);
  t.after(() => rows.close());
  const labels = Uint32Array.from({ length: count }, (_, i) => i);
  await rows.write(
    labels,
    Float32Array.from({ length: count * dimensions }, () => random.normal()),
  );
  const index = await openHnswIndex({
    rows: { path: rows.path, dimensions },
    metric: "cosine",
    // So few links that narrow searches miss much.
    parameters: { m: 5, efConstruction: 20, efSearch: 10 },
    live: { labels, sequences: new Float64Array(count) },
  });
  t.after(() => index.close());
  await index.drain();
  const source = { rows, labels, rules: { dimensions, metric: "cosine" as const } };
  const sample = await RecallSample.draw(source, { threads: 1, signal: new AbortController().signal });
  let asked = 0;
  const counted = Object.assign(Object.create(index) as typeof index, {
    search: (queries: Float32Array, number: number, options: SearchOptions) => {
      asked += number;
      return index.search(queries, number, options);
    },
  });
  const recallIn = sample.widening(counted);
  let [lastAsked, lastRecall] = [200, 0];
  for (const efSearch of [11, 20, 40, 80, 160]) {
    asked = 0;
    const recall = await recallIn(efSearch);
    t.diagnostic(`efSearch ${efSearch}: ${asked} asked, recall ${recall.toFixed(3)}`);
    assert.equal(recall, await sample.recallIn(index, efSearch));
    assert.ok(asked <= lastAsked && recall > lastRecall, `${asked} asked again, recall ${recall} after ${lastRecall}`);
    [lastAsked, lastRecall] = [asked, recall];
  }
  assert.ok(lastAsked < 150, `${lastAsked} asked to the end`);
});

/** Mean share of each item's ten nearest others that are held. */
function naiveShare(vectors: Float32Array, metric: "cosine" | "euclidean", isHeld: (label: number) => boolean): number {
  const row = (i: number) => Array.from(vectors.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS));
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const distance = (a: number[], b: number[]) =>
    metric === "cosine" ? 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)) : Math.hypot(...a.map((x, i) => x - b[i]!));
  let share = 0;
  for (let i = 0; i < COUNT; i++) {
    const others = Array.from({ length: COUNT }, (_, j) => j).filter((j) => j !== i);
    others.sort((a, b) => distance(row(i), row(a)) - distance(row(i), row(b)));
    share += others.slice(0, K).filter(isHeld).length / K / COUNT;
  }
  return share;
}
