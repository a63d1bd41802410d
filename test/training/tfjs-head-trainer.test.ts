import assert from "node:assert/strict";
import { test } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import type { Batch } from "../../src/training/batches/batch.js";
import { openTensorflow } from "../../src/training/engines/tfjs/open-tensorflow.js";
import { TfjsHeadTrainer } from "../../src/training/engines/tfjs/tfjs-head-trainer.js";
import { identityWeights } from "../../src/training/head/head.js";
import type { HeadTrainer, HeadTrainerOptions } from "../../src/training/head/head-trainer.js";
import { OnnxHeadTrainer } from "../../src/training/head/onnx-head-trainer.js";
import { runFineTune } from "../../src/training/index.js";
import { BaseRows } from "../../src/training/rows/base-rows.js";
import { MemoryRows } from "../../src/training/rows/row-files.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { World } from "./support.js";

const [D, ITEMS, LINES] = [12, 60, 8];

const OPTIONS: HeadTrainerOptions = {
  dimensions: D,
  metric: "cosine",
  provider: "cpu",
  threads: 1,
  recipe: { loss: "triplet", learningRate: 3e-3, margin: 0.3, temperature: 0.1 },
  batchNegatives: "all",
  batchSize: LINES + 2,
  identityPenalty: 1,
};

function rowsOf(random: Random): BaseRows {
  const rows = Float32Array.from({ length: ITEMS * D }, () => random.normal());
  return new BaseRows(new MemoryRows(rows, D), new MemoryRows(new Float32Array(0), D), D, OPTIONS.metric, random);
}

/** Anchors, then their positives, then as many others; every row is a negative of the anchors it does not belong to. */
function randomBatch(random: Random): Batch {
  const count = 3 * LINES;
  const items = random.shuffle(Int32Array.from({ length: ITEMS }, (_, item) => item)).slice(0, count);
  const negatives = Float32Array.from({ length: LINES * count }, (_, i) => {
    const [line, row] = [Math.floor(i / count), i % count];
    return row === line || row === line + LINES ? 0 : 1;
  });
  const from = (first: number) => Int32Array.from({ length: LINES }, (_, line) => first + line);
  return { items, anchors: from(0), positives: from(LINES), negatives };
}

async function train(trainer: HeadTrainer, seed: number, steps: number) {
  const random = new Random(seed);
  const base = rowsOf(random);
  const training = trainer.start(identityWeights(D));
  const losses: number[] = [];
  while (training.steps < steps) losses.push(...(await training.advance([randomBatch(random)], base)));
  const weights = await training.weights();
  training.release();
  return { losses, weights };
}

test("TensorFlow.js trains the head that ONNX Runtime trains, step by step", async () => {
  const seed = seedOf("tfjs trainer", 31);
  for (const loss of ["triplet", "info-nce"] as const) {
    const options = { ...OPTIONS, recipe: { ...OPTIONS.recipe, loss } };
    const [onnx, tfjs] = [await OnnxHeadTrainer.open(options), await TfjsHeadTrainer.open(options)];
    assert.ok(["tensorflow", "wasm"].includes(tfjs.provider));
    const [expected, actual] = [await train(onnx, seed, 25), await train(tfjs, seed, 25)];
    const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
    assert.ok(furthest(actual.losses, expected.losses) < 1e-4, `${loss}: ${actual.losses}; ${expected.losses}`);
    assert.ok(furthest(actual.weights, expected.weights) < 1e-3, `${furthest(actual.weights, expected.weights)}`);
    assert.ok(furthest(actual.weights, identityWeights(D)) > 0.01, "the head moved");
    await Promise.all([onnx.close(), tfjs.close()]);
  }
});

test("the same seed gives the same head again, and no tensor is left behind", async () => {
  const seed = seedOf("tfjs memory", 32);
  const { tf } = await openTensorflow();
  const trainer = await TfjsHeadTrainer.open(OPTIONS);
  const before = tf.memory().numTensors;
  const { weights } = await train(trainer, seed, 3);
  assert.equal(tf.memory().numTensors, before);
  const random = new Random(seed);
  const base = rowsOf(random);
  const training = trainer.start(identityWeights(D));
  const counts = new Set<number>();
  for (let step = 0; step < 3; step++) {
    await training.advance([randomBatch(random)], base);
    counts.add(tf.memory().numTensors);
  }
  assert.deepEqual([...counts], [before + 3], "the head and its two moments");
  assert.deepEqual(await training.weights(), weights);
  training.release();
  await trainer.close();
});

test("a whole fine-tune runs on it, and says so", async (t) => {
  const world = new World(seedOf("tfjs fine-tune", 33));
  const options = { engine: "tfjs", epochs: 4, learningRate: 3e-3, promote: "always" } as const;
  const result = await runFineTune(world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, { options }));
  assert.ok(["tensorflow", "wasm"].includes(result.provider), result.provider);
  assert.ok(result.written && result.steps > 0 && result.lossCurve.every(({ loss }) => Number.isFinite(loss)));
});

test("where TensorFlow.js's native build does not load, WebAssembly computes; where neither does, both reasons are told", async () => {
  const real = async (name: string): Promise<unknown> => {
    const module = (await import(name)) as { default?: unknown };
    return module.default ?? module;
  };
  // A package of the native build's name that does not hold the native backend.
  const unsuited = await openTensorflow((name) =>
    real(name === "@tensorflow/tfjs-node-gpu" ? "@tensorflow/tfjs" : name),
  );
  assert.equal(unsuited.backend, "wasm");
  await assert.rejects(
    openTensorflow(async (name) => {
      throw new Error(`Cannot find package '${name}' imported from here`);
    }),
    (error) =>
      error instanceof AttuneError &&
      error.code === "engine_unavailable" &&
      /'@tensorflow\/tfjs-node-gpu' .*'@tensorflow\/tfjs' .*"onnx"/.test(error.message),
  );
});
