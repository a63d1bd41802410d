import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { describeEncoder, openEncoder } from "../../src/encoder/index.js";
import { encodeModel, withInitializers } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { startingState, weightsOf } from "../../src/training/encoder/encoder-state.js";
import { EncoderTrainer, type EncoderTrainerOptions } from "../../src/training/encoder/encoder-trainer.js";
import { openTunableEncoder } from "../../src/training/encoder/open-tunable-encoder.js";
import { rateAt } from "../../src/training/encoder/schedule.js";
import { updateGraph } from "../../src/training/encoder/step-graph.js";
import { cutsOfLeastPadding, type StepRows } from "../../src/training/encoder/step-rows.js";
import { floats, tensor } from "../../src/training/engines/engine.js";
import type { FineTuneOptions } from "../../src/training/index.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { type TextEncoderOptions, TextWorld, WIDTH, writeTextEncoder } from "./encoder-world.js";

const ALL = { parameters: "all", layers: 1, rank: 2 } as const;
type Chosen = Pick<FineTuneOptions, "parameters" | "layers" | "rank" | "targets">;

async function openTrainer(
  t: TestContext,
  {
    written = {},
    chosen = ALL,
    ...changes
  }: { written?: TextEncoderOptions; chosen?: Chosen } & Partial<EncoderTrainerOptions> = {},
): Promise<EncoderTrainer> {
  const spec = writeTextEncoder(join(temporaryDirectory(t), "encoder"), written);
  const opened = await openTunableEncoder(await describeEncoder(spec), WIDTH, chosen, new Random(5));
  const trainer = await EncoderTrainer.open({
    ...opened,
    metric: "cosine",
    scale: 1,
    objectives: [
      {
        recipe: { loss: "info-nce", learningRate: 1e-2, margin: 0.2, temperature: 0.1 },
        weight: 1,
        batchNegatives: "all",
      },
    ],
    gradientClip: 1,
    weightDecay: 0.01,
    provider: "cpu",
    threads: 1,
    ...changes,
  });
  t.after(() => trainer.close());
  return trainer;
}

/** A batch of the first items: each anchor's positive is the next item of its topic, items of other topics are negatives. */
async function batch({ options }: EncoderTrainer, world: TextWorld, first: number, count: number): Promise<StepRows> {
  const items = Array.from({ length: count }, (_, i) => first + i);
  const topic = (i: number) => world.topics[items[i]!];
  const negatives = new Float32Array(count * count);
  for (let i = 0; i < count; i++)
    for (let j = 0; j < count; j++) negatives[i * count + j] = topic(i) === topic(j) ? 0 : 1;
  const positives = Int32Array.from(items, (_, i) => (i + 12 < count ? i + 12 : i % 12));
  return {
    inputs: await options.inputs.prepare(items.map((item) => world.texts[item]!)),
    objectives: [{ anchors: Int32Array.from(items, (_, i) => i), positives, negatives }],
  };
}

/** Weights after some steps, one list of numbers a weight. */
async function trained(trainer: EncoderTrainer, world: TextWorld, steps: number): Promise<Float32Array[]> {
  let state = startingState(trainer.options.encoder.trained.weights);
  for (let step = 0; step < steps; step++) {
    ({ state } = await trainer.step(state, await batch(trainer, world, 30 * step, 30), 1e-2));
  }
  return weightsOf(state);
}

function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(
    ...a.map((list, i) => list.reduce((most, value, k) => Math.max(most, Math.abs(value - b[i]![k]!)), 0)),
  );
}

test("the rate grows in a line and falls along a cosine, to 0 after the last step", () => {
  const schedule = { steps: 10, warmup: 0.2, learningRate: 2 };
  const rates = Array.from({ length: 10 }, (_, i) => rateAt(i + 1, schedule));
  const expected = [1, 2, ...Array.from({ length: 8 }, (_, i) => 1 + Math.cos((Math.PI * i) / 8))];
  rates.forEach((rate, i) => {
    assert.ok(Math.abs(rate - expected[i]!) < 1e-12, `step ${i + 1}: ${rate}`);
  });
  assert.equal(rateAt(1, { steps: 1, warmup: 0, learningRate: 3 }), 3);
});

test("lengths are cut where the least padding is, as trying every cut shows", () => {
  const random = new Random(seedOf("cuts", 31));
  for (let round = 0; round < 50; round++) {
    const lengths = Array.from({ length: 3 + random.integer(9) }, () => 1 + random.integer(40)).sort((a, b) => a - b);
    const cells = (ends: readonly number[]) =>
      ends.reduce((sum, end, k) => sum + (end - (ends[k - 1] ?? 0)) * lengths[end - 1]!, 0);
    let best = Number.POSITIVE_INFINITY;
    for (let a = 1; a < lengths.length - 1; a++) {
      for (let b = a + 1; b < lengths.length; b++) best = Math.min(best, cells([a, b, lengths.length]));
    }
    assert.equal(cells(cutsOfLeastPadding(lengths, 3)), best, `lengths ${lengths}`);
  }
});

for (const pooling of ["mean", "cls", "last", "max"] as const) {
  for (const normalize of [true, false]) {
    test(`the embedding graph gives what the encoder gives: ${pooling}, normalize ${normalize}`, async (t) => {
      const world = new TextWorld(seedOf("embedding", 32), 24);
      const trainer = await openTrainer(t, { written: { pooling, normalize } });
      const { modelPath } = trainer.options.encoder.description;
      const encoder = await openEncoder(`file:${join(modelPath, "..")}`, { provider: "cpu", threads: 1 });
      t.after(() => encoder.close());
      const { vectors } = await encoder.encode(world.texts);
      const state = startingState(trainer.options.encoder.trained.weights);
      const embedded = await trainer.embed(state, await trainer.options.inputs.prepare(world.texts));
      assert.ok(largestDifference([embedded], [vectors]) < 1e-5);
    });
  }
}

test("a batch worked off in parts gives the weights of the whole batch", async (t) => {
  const world = new TextWorld(seedOf("parts", 33));
  const whole = await openTrainer(t);
  const parts = await openTrainer(t, { memoryBytes: 0 });
  const lengths = Array.from({ length: 30 }, (_, i) => 5 + Math.floor(i / 10));
  assert.equal(whole.cut(lengths).whole, true);
  assert.deepEqual(parts.cut(lengths), { whole: false, ends: lengths.map((_, i) => i + 1) });
  assert.ok(largestDifference(await trained(whole, world, 3), await trained(parts, world, 3)) < 1e-4);
});

test("an encoder without a padding mask is trained in parts of one length, without padding", async (t) => {
  const world = new TextWorld(seedOf("maskless", 34));
  const trainer = await openTrainer(t, { written: { maskless: true } });
  assert.deepEqual(trainer.cut([5, 5, 6, 8, 8, 8]), { whole: false, ends: [2, 3, 6] });
  const masked = await openTrainer(t);
  assert.ok(largestDifference(await trained(trainer, world, 3), await trained(masked, world, 3)) < 1e-4);
});

test("steps lower the loss, and the same steps give the same bits", async (t) => {
  const world = new TextWorld(seedOf("bits", 35));
  const trainer = await openTrainer(t, { threads: 2 });
  const rows = await batch(trainer, world, 0, 48);
  const losses: number[] = [];
  let state = startingState(trainer.options.encoder.trained.weights);
  for (let step = 0; step < 12; step++) {
    const done = await trainer.step(state, rows, 1e-2);
    state = done.state;
    losses.push(done.report.loss);
  }
  assert.ok(losses.at(-1)! < 0.7 * losses[0]!, `${losses}`);
  assert.equal(largestDifference(await trained(trainer, world, 4), await trained(trainer, world, 4)), 0);
});

test("only the last layers change, the other weights not by a bit", async (t) => {
  const world = new TextWorld(seedOf("layers", 36));
  const trainer = await openTrainer(t, { chosen: { parameters: "last-layers", layers: 1, rank: 1 } });
  const names = trainer.options.encoder.trained.weights.map(({ name }) => name);
  assert.deepEqual(
    names.map((name) => name.slice(0, 8)),
    names.map(() => "layer.1."),
  );
  assert.equal(names.length, 6);
  const weights = await trained(trainer, world, 2);
  trainer.options.encoder.trained.weights.forEach(({ name, start }, i) => {
    assert.ok(largestDifference([start], [weights[i]!]) > 0, name);
  });
});

test("low-rank deltas begin at nothing, and merged they are the encoder that was trained", async (t) => {
  const world = new TextWorld(seedOf("low-rank", 37), 60);
  const trainer = await openTrainer(t, {
    chosen: { parameters: "low-rank", layers: 1, rank: 2, targets: ["in.weight", "key"] },
  });
  const { trained: chosen, model } = trainer.options.encoder;
  assert.deepEqual(
    chosen.weights.map(({ name, shape }) => `${name} ${shape}`),
    [0, 1].flatMap((layer) => [
      `layer.${layer}.key.weight.A 16,2`,
      `layer.${layer}.key.weight.B 2,16`,
      `layer.${layer}.in.weight.A 16,2`,
      `layer.${layer}.in.weight.B 2,24`,
    ]),
  );
  const inputs = await trainer.options.inputs.prepare(world.texts);
  const whole = await openTrainer(t);
  const before = await whole.embed(startingState(whole.options.encoder.trained.weights), inputs);
  assert.ok(largestDifference([await trainer.embed(startingState(chosen.weights), inputs)], [before]) < 1e-6);

  const weights = await trained(trainer, world, 2);
  const after = await trainer.embed(startingState(chosen.weights, weights), inputs);
  assert.ok(largestDifference([after], [before]) > 1e-3);
  const merged = chosen.merge(new Map(chosen.weights.map(({ name }, i) => [name, weights[i]!])));
  const session = await openSession(encodeModel(withInitializers(model, merged)), { provider: "cpu", threads: 1 });
  t.after(() => session.close());
  const { last_hidden_state: hidden } = await session.run(trainer.options.inputs.feeds(inputs));
  const lengths = inputs.map((input) => (input.kind === "tokens" ? input.ids.length : 0));
  const tokens = hidden!.shape[1]!;
  const expected = new Float32Array(after.length);
  lengths.forEach((length, row) => {
    const mean = Array.from({ length: WIDTH }, (_, at) => {
      let sum = 0;
      for (let token = 0; token < length; token++) sum += Number(hidden!.data[(row * tokens + token) * WIDTH + at]);
      return sum / length;
    });
    const norm = Math.hypot(...mean);
    expected.set(
      mean.map((value) => value / norm),
      row * WIDTH,
    );
  });
  assert.ok(largestDifference([after], [expected]) < 1e-5);
});

test("an encoder in half precision is trained in single precision", async (t) => {
  const world = new TextWorld(seedOf("half", 41));
  const [half, single] = [await openTrainer(t, { written: { dtype: "float16" } }), await openTrainer(t)];
  const starts = (trainer: EncoderTrainer) => trainer.options.encoder.trained.weights.map(({ start }) => start);
  assert.deepEqual(
    half.options.encoder.trained.weights.map(({ name, shape }) => [name, shape]),
    single.options.encoder.trained.weights.map(({ name, shape }) => [name, shape]),
  );
  const rounding = largestDifference(starts(half), starts(single));
  assert.ok(rounding > 0 && rounding < 4e-3, `${rounding}`);
  const rows = await batch(half, world, 0, 30);
  const { state, report } = await half.step(startingState(half.options.encoder.trained.weights), rows, 1e-6);
  assert.ok(Number.isFinite(report.loss));
  // Half precision would round such a step away.
  const moved = largestDifference(await weightsOf(state), starts(half));
  assert.ok(moved > 1e-7 && moved < 1e-5, `${moved}`);
});

test("targets that name no matrix are refused with the names there are", async (t) => {
  const chosen: Chosen = { parameters: "low-rank", layers: 1, rank: 2, targets: ["query"] };
  await assert.rejects(openTrainer(t, { chosen }), (error: { code: string; message: string }) => {
    assert.equal(error.code, "invalid_setting");
    assert.match(error.message, /layer\.0\.key\.weight/);
    return true;
  });
});

test("weights decay in matrices only: not in biases, norms and look-up tables", async (t) => {
  const trainer = await openTrainer(t);
  const decaying = trainer.options.encoder.trained.weights.filter(({ decays }) => decays).map(({ name }) => name);
  const matrices = [0, 1].flatMap((layer) => ["key", "in", "out"].map((part) => `layer.${layer}.${part}.weight`));
  assert.deepEqual(decaying.sort(), matrices.sort());
});

test("a gradient longer than the limit is cut to it", async (t) => {
  const trainer = await openTrainer(t);
  const update = encodeModel(updateGraph(trainer.options).model());
  const session = await openSession(update, { provider: "cpu", threads: 1 });
  t.after(() => session.close());
  const { weights } = trainer.options.encoder.trained;
  const random = new Random(seedOf("gradient", 39));
  const gradients = weights.map(({ start }) => Float32Array.from(start, () => random.normal()));
  const norm = Math.sqrt(gradients.flatMap((list) => [...list]).reduce((sum, value) => sum + value * value, 0));
  const feeds = Object.fromEntries(
    weights.flatMap(({ shape, start }, i) => [
      [`weight_${i}`, tensor(start, [...shape])],
      [`gradient_${i}`, tensor(gradients[i]!, [...shape])],
      [`mean_${i}`, tensor(new Float32Array(start.length), [...shape])],
      [`variance_${i}`, tensor(new Float32Array(start.length), [...shape])],
    ]),
  );
  const scalars = { stepSize: 0.1, epsilon: 1e-8, keep: 1 };
  const result = await session.run({
    ...feeds,
    ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tensor(Float32Array.of(value), [])])),
  });
  assert.ok(Math.abs(floats(result, "gradientNorm")[0]! / norm - 1) < 1e-5);
  // The first moment is a tenth of the clipped gradient.
  const means = weights.map((_, i) => floats(result, `nextMean_${i}`));
  assert.ok(
    largestDifference(
      means,
      gradients.map((list) => list.map((value) => (0.1 * value) / norm)),
    ) < 1e-7,
  );
});

test("a training that diverges stops, naming the step and advising a smaller rate", async (t) => {
  const world = new TextWorld(seedOf("diverges", 40));
  const trainer = await openTrainer(t);
  const { weights } = trainer.options.encoder.trained;
  const broken = weights.map(({ start }, i) => (i === 0 ? start.map(() => Number.NaN) : start));
  await assert.rejects(
    async () => trainer.step(startingState(weights, broken), await batch(trainer, world, 0, 30), 1e-2),
    (error: { code: string; message: string }) => {
      assert.equal(error.code, "fine_tune_failed");
      assert.match(error.message, /step 1\b.*smaller learningRate/);
      return true;
    },
  );
});
