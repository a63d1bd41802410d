import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { RecallSample } from "../../src/collection/generations/recall-sample.js";
import { openExactIndex } from "../../src/index/exact-index.js";
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
    const sample = await RecallSample.draw(source, 1, new AbortController().signal);
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
    assert.equal(
      await sample.recallIn(two, 64, recall - 0.01),
      recall,
      "what reaches the least is measured to the end",
    );

    const most = await sample.recallIn(two, 64, 0.99);
    assert.ok(
      most < 0.99 && most > recall,
      `${most}: what cannot reach the least is given up, at the most it could be`,
    );
  });
}

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
