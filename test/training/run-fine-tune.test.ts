import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import { openSession } from "../../src/runtime/index.js";
import { floats, tensor } from "../../src/training/engines/engine.js";
import {
  type FineTuneProgress,
  type FineTuneTask,
  headModel,
  type NumberedFeedback,
  resolveOptions,
  runFineTune,
} from "../../src/training/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { World } from "./support.js";

function readFloats(path: string): Float32Array {
  return new Float32Array(new Uint8Array(readFileSync(path)).buffer);
}

/** Share of the ten nearest that have the item's class, by brute force over the rows of a task's output. */
function precisionAt10(world: World, rows: Float32Array, stride: number): number {
  const d = world.dimensions;
  const unit = world.classes.map((_, i) => {
    const row = Array.from(rows.subarray(i * stride * d, i * stride * d + d));
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  });
  let right = 0;
  for (let q = 0; q < 100; q++) {
    const order = unit.map((row, i) => ({ i, dot: row.reduce((sum, value, k) => sum + value * unit[q]![k]!, 0) }));
    order.sort((a, b) => b.dot - a.dot);
    right += order.slice(1, 11).filter(({ i }) => world.classes[i] === world.classes[q]).length;
  }
  return right / 1_000;
}

test("true feedback passes the gate, shuffled positives do not, and the search gets better", async (t) => {
  const seed = seedOf("gate", 112);
  let promoted = 0;
  let turnedDown = 0;
  for (let round = 0; round < 3; round++) {
    const world = new World(seed + round);
    const directory = temporaryDirectory(t);
    const options = { learningRate: 3e-3 };
    const task = world.task(directory, { triplets: world.triplets(120) }, { options });
    const result = await runFineTune(task);
    if (result.outcome === "passed") {
      promoted++;
      assert.ok(result.written && result.steps > 0 && result.metrics.improvement.low > 0);
      assert.ok(result.metrics.after.logRank < result.metrics.before.logRank);
      assert.ok((result.metrics.finalImprovement ?? 0) > 0);
      const before = precisionAt10(world, world.rows, 1);
      const after = precisionAt10(world, readFloats(task.output.vectors), 2);
      assert.ok(after > before + 0.03, `P@10 ${before} to ${after}`);
    }
    const shuffled = world.task(temporaryDirectory(t), { triplets: world.triplets(120, true) }, { options });
    const refused = await runFineTune(shuffled);
    if (refused.outcome === "rejected") {
      turnedDown++;
      assert.ok(!refused.written && !existsSync(shuffled.output.vectors));
      assert.match(refused.reason ?? "", /held-out/);
    }
  }
  assert.equal(promoted, 3);
  assert.ok(turnedDown >= 2, `${turnedDown} of 3 turned down`);
});

for (const threads of [1, 3]) {
  const name = `the vectors written are the head's output of every live row, at its label, on ${threads} threads`;
  test(name, (t) => checkVectors(t, threads));
}

async function checkVectors(t: TestContext, threads: number): Promise<void> {
  const world = new World(seedOf("vectors", 113), 300);
  const changes = { threads, options: { promote: "always" } } as const;
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
  await runFineTune(task);
  const vectors = readFloats(task.output.vectors);
  const d = world.dimensions;
  assert.equal(vectors.length, (2 * 299 + 1) * d);
  const session = await openSession(task.output.model, { provider: "cpu", threads: 1 });
  const expected = floats(await session.run({ base: tensor(world.rows, [300, d]) }), "vector");
  const weights = floats(await session.run({ base: tensor(identity(d), [d, d]) }), "vector");
  await session.close();
  for (let i = 0; i < 300; i++) {
    for (let j = 0; j < d; j++) {
      assert.ok(Math.abs(vectors[2 * i * d + j]! - expected[i * d + j]!) < 1e-5);
      let sum = 0;
      for (let k = 0; k < d; k++) sum += world.rows[i * d + k]! * weights[k * d + j]!;
      assert.ok(Math.abs(sum - expected[i * d + j]!) < 1e-4);
      if (i < 299) assert.equal(vectors[(2 * i + 1) * d + j], 0, "rows of labels that are not live are zero");
    }
  }
}

test("the same seed and data give the same weights bit for bit, another seed others", async (t) => {
  const world = new World(seedOf("determinism", 114));
  const triplets = world.triplets(60);
  const head = async (seed: number, threads: number) => {
    const task = world.task(temporaryDirectory(t), { triplets }, { seed, threads, options: { promote: "always" } });
    const result = await runFineTune(task);
    return { head: readFileSync(task.output.model), metrics: result.metrics };
  };
  for (const threads of [1, 2]) {
    const first = await head(3, threads);
    const second = await head(3, threads);
    assert.ok(first.head.equals(second.head));
    assert.deepEqual(first.metrics, second.metrics);
    assert.ok(!(await head(4, threads)).head.equals(first.head));
  }
});

const kinds: Record<string, (world: World) => Partial<NumberedFeedback>> = {
  "similar pairs": (world) => ({ pairs: world.triplets(100).map(([a, p]) => [a, p, "similar"]) }),
  "similar and dissimilar pairs": (world) => ({
    pairs: world.triplets(80).flatMap(([a, p, n]): NumberedFeedback["pairs"] => [
      [a, p, "similar"],
      [a, n, "dissimilar"],
    ]),
  }),
  labels: (world) => ({ labels: world.classes.slice(0, 200).map((label, item) => [item, `class ${label}`]) }),
};
for (const [kind, feedback] of Object.entries(kinds)) {
  for (const metric of ["cosine", "euclidean"] as const) {
    test(`${kind} alone teach, under ${metric}`, async (t) => {
      const world = new World(seedOf(kind, 115));
      const task = world.task(temporaryDirectory(t), feedback(world), { metric, options: { learningRate: 3e-3 } });
      const { outcome, metrics } = await runFineTune(task);
      assert.equal(outcome, "passed", `improvement ${JSON.stringify(metrics.improvement)}`);
      assert.equal(metrics.judgedBy, "similar");
    });
  }
}

test("feedback that only calls items dissimilar is judged by how far they go away", async (t) => {
  const world = new World(seedOf("dissimilar", 116));
  // Near neighbours of other classes, as people mark them.
  const pairs = world.triplets(60).map(([anchor]): [number, number, "dissimilar"] => {
    const d = world.dimensions;
    const row = (item: number) => world.rows.subarray(item * d, (item + 1) * d);
    const cosine = (item: number) => {
      const [a, b] = [row(anchor), row(item)];
      return a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
    };
    const others = world.classes.map((_, item) => item).filter((item) => world.classes[item] !== world.classes[anchor]);
    return [anchor, others.sort((a, b) => cosine(b) - cosine(a))[0]!, "dissimilar"];
  });
  const options = { learningRate: 3e-3, margin: 0.6, promote: "always" as const };
  const { metrics } = await runFineTune(world.task(temporaryDirectory(t), { pairs }, { options }));
  assert.equal(metrics.judgedBy, "dissimilar");
  assert.ok((metrics.finalImprovement ?? 0) > 0, `marked items go away: ${metrics.finalImprovement}`);
});

test("feedback about what is no item trains and judges too", async (t) => {
  const world = new World(seedOf("extra rows", 117));
  const directory = temporaryDirectory(t);
  const task = world.task(directory, {}, { options: { learningRate: 3e-3 } });
  // Queries near items of a class: extra row i is noise around item i.
  const count = 100;
  const d = world.dimensions;
  const extra = world.rows.slice(0, count * d).map((value) => value + 0.1 * world.random.normal());
  writeFileSync(join(directory, "extra.f32"), extra);
  const triplets = Array.from({ length: count }, (_, i) => {
    const positive = world.pick((item) => world.classes[item] === world.classes[i]);
    return [400 + i, positive, world.pick((item) => world.classes[item] !== world.classes[i])];
  });
  writeFileSync(task.feedback, JSON.stringify({ pairs: [], labels: [], triplets }));
  const extraRows = { path: join(directory, "extra.f32"), count };
  const result = await runFineTune({ ...task, extraRows });
  assert.equal(result.outcome, "passed");
  const improvement = result.metrics.finalImprovement ?? 0;
  assert.ok(improvement > 0);
  // Each thread checks some of the anchors; together they tell of all of them.
  const { metrics } = await runFineTune({ ...task, extraRows, threads: 3 });
  assert.ok(Math.abs((metrics.finalImprovement ?? 0) - improvement) < 1e-3, `${metrics.finalImprovement}`);
});

test("before is the active head, and from: active starts there", async (t) => {
  const world = new World(seedOf("active", 118));
  const feedback = { triplets: world.triplets(120) };
  const options = { learningRate: 3e-3 };
  const first = world.task(temporaryDirectory(t), feedback, { options });
  const before = await runFineTune(first);
  const activeHead = first.output.model;
  const again = world.task(temporaryDirectory(t), feedback, { options, activeHead });
  const second = await runFineTune(again);
  assert.ok(second.metrics.before.logRank < before.metrics.before.logRank - 0.3, "the active head has learnt already");
  assert.equal(second.outcome, "rejected", "the same feedback cannot beat itself");
  const steady = { ...options, from: "active" as const, promote: "always" as const, epochs: 1, learningRate: 1e-9 };
  const still = world.task(temporaryDirectory(t), feedback, { options: steady, activeHead });
  await runFineTune(still);
  const [start, end] = [readFloats(first.output.vectors), readFloats(still.output.vectors)];
  for (const [i, value] of start.entries()) assert.ok(Math.abs(value - end[i]!) < 1e-4);
});

test("promote: always writes what the gate refused, and says that it refused", async (t) => {
  const world = new World(119);
  const options = { promote: "always" as const, minGain: 50 };
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, { options });
  const result = await runFineTune(task);
  assert.equal(result.outcome, "rejected");
  assert.match(result.reason ?? "", /minGain 50/);
  assert.ok(result.written && existsSync(task.output.model) && existsSync(task.output.vectors));
});

test("what was trained beside a gate that stays shut is written nowhere", async (t) => {
  const world = new World(126);
  const changes = { threads: 2, options: { minGain: 50 } };
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
  const result = await runFineTune(task);
  assert.deepEqual([result.outcome, result.written, result.steps], ["rejected", false, 0]);
  assert.ok(!existsSync(task.output.model) && !existsSync(task.output.vectors));
});

test("drift above maxDrift closes the gate", async (t) => {
  const world = new World(120);
  const options = { learningRate: 3e-3, maxDrift: 0 };
  const result = await runFineTune(world.task(temporaryDirectory(t), { triplets: world.triplets(120) }, { options }));
  assert.equal(result.outcome, "rejected");
  assert.match(result.reason ?? "", /maxDrift 0/);
});

for (const threads of [1, 2]) {
  test(`progress counts up in each phase, and names rate and time left, on ${threads} threads`, async (t) => {
    const world = new World(121);
    const changes = { threads, options: { promote: "always" } } as const;
    const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
    const seen: FineTuneProgress[] = [];
    await runFineTune(task, { onProgress: (progress) => seen.push(progress) });
    assert.deepEqual([...new Set(seen.map((progress) => progress.phase))], ["training", "evaluating", "reEmbedding"]);
    for (const { done, total } of seen) assert.ok(done >= 0 && done <= total, `${done} of ${total}`);
    const last = seen.at(-1);
    assert.deepEqual([last?.phase, last?.done, last?.unit], ["reEmbedding", 400, "rows"]);
    assert.ok((last?.rate ?? 0) > 0 && last?.etaMs === 0);
  });
}

for (const threads of [1, 2]) {
  test(`an abort stops it with the signal's reason, on ${threads} threads`, async (t) => {
    const world = new World(122);
    const changes = { threads, options: { epochs: 5_000 } };
    const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = runFineTune(task, {
      signal: controller.signal,
      onProgress: ({ done }) => done > 10 && controller.abort(reason),
    });
    await assert.rejects(running, (error) => error === reason);
  });
}

test("folds side by side, in threads of their own, are trained as one after the other", async (t) => {
  const world = new World(seedOf("lanes", 124));
  // Mined negatives travel to the threads too.
  const pairs = world.triplets(80).map(([a, p]): NumberedFeedback["pairs"][number] => [a, p, "similar"]);
  const judged = async (threads: number) => {
    const options = { loss: "auto", epochs: 6, learningRate: 3e-3, promote: "never" } as const;
    const task = world.task(temporaryDirectory(t), { pairs }, { threads, options });
    const { metrics, foldSteps, tried } = await runFineTune(task);
    return { metrics, foldSteps, tried };
  };
  const [one, two] = [await judged(1), await judged(2)];
  assert.deepEqual(two.foldSteps, one.foldSteps);
  assert.equal(two.tried?.length, one.tried?.length);
  assert.ok(Math.abs(two.metrics.improvement.mean - one.metrics.improvement.mean) < 1e-3);
  two.tried?.forEach(({ validation }, i) => {
    assert.ok(Math.abs(validation - (one.tried?.[i]?.validation ?? 0)) < 1e-3);
  });
});

test("what goes wrong in a thread of the folds fails the fine-tune with its code", async (t) => {
  const world = new World(125);
  const changes = { threads: 2, options: { learningRate: 1e30 } };
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
  await assert.rejects(runFineTune(task), {
    code: "fine_tune_failed",
    message: /diverged at step \d+.*smaller learningRate/,
  });
});

async function refusal(task: FineTuneTask): Promise<string> {
  return runFineTune(task).then(
    () => "nothing",
    (error: AttuneError) => error.code,
  );
}

test("tasks that cannot be run are refused with a clear code", async (t: TestContext) => {
  const world = new World(123, 60);
  const make = (feedback: Partial<NumberedFeedback>, changes: Partial<FineTuneTask> = {}) =>
    world.task(temporaryDirectory(t), feedback, changes);
  const triplets = world.triplets(20);
  assert.equal(await refusal(make({ triplets: triplets.slice(0, 9) })), "not_enough_feedback");
  assert.equal(await refusal(make({ pairs: [[1, 1, "dissimilar"]] })), "contradictory_feedback");
  assert.equal(await refusal(make({ triplets: [...triplets, [1, 2, 60]] })), "fine_tune_failed");
  assert.equal(await refusal(make({ triplets: [...triplets, [1.5, 2, 3]] })), "fine_tune_failed");
  assert.equal(await refusal(make({ triplets }, { dimensions: 32 })), "fine_tune_failed");
  assert.equal(await refusal(make({ triplets }, { options: { epochs: 0 } })), "invalid_setting");
});

test("options that make no sense are refused, left out or undefined ones have defaults", () => {
  assert.deepEqual(resolveOptions({ epochs: undefined }), resolveOptions({}));
  const bad: Record<string, unknown>[] = [
    { epochs: 1.5 },
    { batchSize: 1 },
    { learningRate: 0 },
    { learningRate: Number.NaN },
    { margin: -1 },
    { minGain: Number.NaN },
    { maxDrift: 2 },
    { from: "nowhere" },
    { promote: "sometimes" },
    { loss: "hinge" },
    { scope: "all" },
  ];
  for (const options of bad) {
    assert.throws(
      () => resolveOptions(options as Parameters<typeof resolveOptions>[0]),
      (error: AttuneError) => error instanceof AttuneError && error.code === "invalid_setting",
    );
  }
});

test("a head model is the matrix product with its weights", async () => {
  const session = await openSession(headModel(Float32Array.of(1, 2, 3, 4), 2), { provider: "cpu", threads: 1 });
  const outputs = await session.run({ base: tensor(Float32Array.of(1, 0, 0, 1, 2, -1), [3, 2]) });
  await session.close();
  assert.deepEqual([...floats(outputs, "vector")], [1, 2, 3, 4, -1, 0]);
});

function identity(d: number): Float32Array {
  return Float32Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0));
}
