import assert from "node:assert/strict";
import { test } from "node:test";
import type { Batch } from "../../src/training/batches/batch.js";
import { identityWeights } from "../../src/training/head/head.js";
import { OnnxHeadTrainer } from "../../src/training/head/onnx-head-trainer.js";
import { BaseRows } from "../../src/training/rows/base-rows.js";
import { MemoryRows } from "../../src/training/rows/row-files.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

/** Batches of 3 to 6 lines: anchors, their positives, and as many others. */
function randomBatch(random: Random, items: number): Batch {
  const lines = 3 + random.integer(4);
  const rows = 3 * lines;
  const from = (first: number) => Int32Array.from({ length: lines }, (_, line) => first + line);
  return {
    items: random.shuffle(Int32Array.from({ length: items }, (_, item) => item)).slice(0, rows),
    anchors: from(0),
    positives: from(lines),
    negatives: Float32Array.from({ length: lines * rows }, (_, i) =>
      (i % rows) % lines === Math.floor(i / rows) ? 0 : 1,
    ),
  };
}

test("steps made in one run are, bit for bit, those made one after the other", async () => {
  // Rows of so many numbers that a run holds some of the steps and not all.
  const [dimensions, items, batchSize, steps] = [1_200, 40, 80, 10];
  const random = new Random(seedOf("steps in one run", 41));
  const rows = Float32Array.from({ length: items * dimensions }, () => random.normal());
  const none = new MemoryRows(new Float32Array(0), dimensions);
  const base = new BaseRows(new MemoryRows(rows, dimensions), none, dimensions, "cosine", random);
  const recipe = { loss: "info-nce", learningRate: 3e-3, margin: 0.3, temperature: 0.1 } as const;
  const settings = {
    dimensions,
    metric: "cosine",
    provider: "cpu",
    threads: 1,
    recipe,
    batchNegatives: "all",
  } as const;
  const trainer = await OnnxHeadTrainer.open({ ...settings, batchSize, identityPenalty: 1 });
  assert.ok(trainer.stepsAtOnce > 1 && trainer.stepsAtOnce < steps, `${trainer.stepsAtOnce} steps at once`);
  const batches = Array.from({ length: steps }, () => randomBatch(random, items));
  const train = async (cut: (batches: Batch[]) => Batch[][]) => {
    const training = trainer.start(identityWeights(dimensions));
    const losses: number[] = [];
    for (const part of cut(batches)) losses.push(...(await training.advance(part, base)));
    assert.equal(training.steps, steps);
    const weights = await training.weights();
    training.release();
    return { losses, weights };
  };
  const single = await train((all) => all.map((batch) => [batch]));
  const together = await train((all) => [all.slice(0, 3), all.slice(3)]);
  assert.deepEqual(together.losses, single.losses);
  assert.deepEqual(together.weights, single.weights);
  assert.notDeepEqual(single.weights, identityWeights(dimensions));
  await trainer.close();
});
