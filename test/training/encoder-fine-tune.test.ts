import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openEncoder } from "../../src/encoder/index.js";
import { decodeModel } from "../../src/onnx/index.js";
import { runEncoderFineTune } from "../../src/training/encoder/run-encoder-fine-tune.js";
import { type FineTunePlan, type FineTuneResult, type FineTuneTask, runFineTune } from "../../src/training/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { TextWorld, WIDTH } from "./encoder-world.js";

function readFloats(path: string): Float32Array {
  return new Float32Array(new Uint8Array(readFileSync(path)).buffer);
}

function checksum(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Share of items whose nearest other item, by brute force over the rows of even labels, is of the same topic. */
function recallAt1(world: TextWorld, rows: Float32Array): number {
  const row = (item: number) => rows.subarray(2 * item * WIDTH, (2 * item + 1) * WIDTH);
  const right = world.topics.filter((topic, item) => {
    let [best, nearest] = [Number.NEGATIVE_INFINITY, -1];
    for (let other = 0; other < world.topics.length; other++) {
      const dot = row(item).reduce((sum, value, k) => sum + value * row(other)[k]!, 0);
      if (other !== item && dot > best) [best, nearest] = [dot, other];
    }
    return world.topics[nearest] === topic;
  });
  return right.length / world.topics.length;
}

test("an encoder that learns from labels passes the gate, is written as ONNX, and finds more", async (t) => {
  const world = new TextWorld(seedOf("labels", 51));
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() });
  const plans: FineTunePlan[] = [];
  const phases = new Set<string>();
  const result = await runFineTune(task, {
    onPlan: (plan) => plans.push(plan),
    onProgress: ({ phase, unit }) => phases.add(`${phase} ${unit}`),
  });
  assert.equal(result.outcome, "passed", result.reason);
  assert.ok(result.written && result.steps > 0 && result.metrics.improvement.low > 0);
  assert.deepEqual([...phases], ["training steps", "evaluating items", "reEmbedding items"]);
  assert.equal(plans.length, 1);
  assert.equal(plans[0]!.parts, 1);
  assert.ok(plans[0]!.memoryBytes > 2 ** 20 && plans[0]!.steps > result.steps);
  assert.ok((result.peakMemoryBytes ?? 0) > 2 ** 20);
  assert.ok(result.metrics.labels!.length > 0 && result.metrics.anchors > 20);

  const before = recallAt1(world, readFloats(task.rows));
  const after = recallAt1(world, readFloats(task.output.vectors));
  assert.ok(after > before + 0.1, `R@1 ${before} to ${after}`);

  const [given, tuned] = [task.encoder!.model.modelPath, task.output.model].map(
    (path) => decodeModel(readFileSync(path)).graph!,
  );
  for (const list of ["input", "output"] as const) {
    assert.deepEqual(
      tuned![list]!.map(({ name }) => name),
      given![list]!.map(({ name }) => name),
    );
  }
  const spec = `file:${join(task.encoder!.model.modelPath, "..")}`;
  const encoder = await openEncoder(spec, { provider: "cpu", threads: 1, model: task.output.model });
  t.after(() => encoder.close());
  const { vectors } = await encoder.encode(world.texts);
  const written = readFloats(task.output.vectors);
  assert.equal(written.length, (2 * 239 + 1) * WIDTH);
  world.texts.forEach((_, item) => {
    for (let k = 0; k < WIDTH; k++) {
      assert.ok(Math.abs(written[2 * item * WIDTH + k]! - vectors[item * WIDTH + k]!) < 1e-5);
    }
  });
});

test("shuffled labels are turned down, and nothing is written", async (t) => {
  const world = new TextWorld(seedOf("shuffled", 52));
  const task = await world.task(temporaryDirectory(t), { labels: world.labels(true) });
  const result = await runFineTune(task);
  assert.equal(result.outcome, "rejected");
  assert.ok(!result.written && !existsSync(task.output.model) && !existsSync(task.output.vectors));
  assert.match(result.reason ?? "", /held-out/);
});

test("an encoder learns from its items alone, judged by whether a view finds its item", async (t) => {
  const world = new TextWorld(seedOf("augmentation", 53));
  const options = {
    source: "augmentation",
    epochs: 10,
    promote: "always",
    augmentation: { wordDropout: 0.4 },
  } as const;
  const task = await world.task(temporaryDirectory(t), {}, options);
  const result = await runFineTune(task);
  assert.ok(result.written);
  assert.equal(result.metrics.judgedBy, "augmentation");
  assert.equal(result.metrics.anchors, 48);
  assert.ok(result.metrics.better!.every(({ anchor }) => anchor < 240));
});

test("feedback and augmentation are learnt from together", async (t) => {
  const world = new TextWorld(seedOf("both", 54));
  const task = await world.task(
    temporaryDirectory(t),
    { labels: world.labels() },
    { source: "both", augmentationWeight: 0.3 },
  );
  const result = await runFineTune(task);
  assert.equal(result.outcome, "passed", result.reason);
  assert.equal(result.metrics.judgedBy, "similar");
});

test("with loss auto each recipe is tried on the validation part, and the best is judged and kept", async (t) => {
  const world = new TextWorld(seedOf("auto", 59), 180);
  const options = { loss: "auto", epochs: 3, promote: "always" } as const;
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  const { tried, recipe, written } = await runFineTune(task);
  assert.ok(written && tried !== undefined && tried.length > 1);
  const best = tried.reduce((leader, each) => (each.validation > leader.validation ? each : leader));
  assert.deepEqual([recipe.loss, recipe.learningRate], [best.loss, best.learningRate]);
});

test("the rate is the one given, else the encoder's own, else that of any encoder", async (t) => {
  const world = new TextWorld(seedOf("rate", 60), 120);
  const folder = temporaryDirectory(t);
  const task = await world.task(folder, { labels: world.labels() }, { epochs: 1, promote: "never" });
  const encoder = { ...task.encoder!, model: { ...task.encoder!.model, learningRate: 0.004 } };
  const { learningRate, ...options } = task.options;
  assert.equal((await runFineTune({ ...task, encoder })).recipe.learningRate, learningRate);
  assert.equal((await runFineTune({ ...task, options, encoder })).recipe.learningRate, 0.004);
  assert.equal((await runFineTune({ ...task, options })).recipe.learningRate, 1e-4);
});

/**
 * Runs a task and stops it the `pauses`-th time that it lets others in, be it in a training, a look or an evaluation.
 * @returns its result, where it ended before
 */
async function runUntil(task: FineTuneTask, pauses: number): Promise<FineTuneResult | undefined> {
  const stop = new AbortController();
  let count = 0;
  const throwIfAborted = () => {
    if (++count === pauses) stop.abort(new Error("stopped"));
    if (stop.signal.aborted) throw stop.signal.reason;
  };
  Object.defineProperty(stop.signal, "throwIfAborted", { value: throwIfAborted });
  try {
    return await runFineTune(task, { signal: stop.signal });
  } catch (error) {
    assert.equal(error, stop.signal.reason);
    return undefined;
  }
}

test("a job interrupted again and again ends with the same bits as one that was not", async (t) => {
  const world = new TextWorld(seedOf("resume", 55), 180);
  const options = { promote: "always", epochs: 3, batchSize: 16 } as const;
  const whole = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  const expected = await runFineTune(whole);
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  const file = join(task.encoder!.checkpoints, "encoder-training.ckpt");
  let result: FineTuneResult | undefined;
  let runs = 0;
  for (; result === undefined; runs++) result = await runUntil(task, 9 + 2 * runs);
  assert.ok(runs >= 3, `${runs} runs`);
  assert.equal(checksum(task.output.vectors), checksum(whole.output.vectors));
  assert.equal(checksum(task.output.model), checksum(whole.output.model));
  assert.deepEqual(result.lossCurve, expected.lossCurve);
  assert.deepEqual(result.metrics, expected.metrics);
  assert.ok(!existsSync(file), "the checkpoint is not needed any more");
});

test("a checkpoint that is damaged or of another task is left aside with a word about it", async (t) => {
  const world = new TextWorld(seedOf("damaged", 56), 120);
  const options = { promote: "always", epochs: 2, batchSize: 16 } as const;
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  assert.equal(await runUntil(task, 12), undefined);
  const file = join(task.encoder!.checkpoints, "encoder-training.ckpt");
  const bytes = readFileSync(file);
  const said: string[] = [];
  const log = (message: string) => said.push(message);
  writeFileSync(file, bytes.subarray(0, bytes.length - 5));
  const first = await runFineTune(task, { log });
  writeFileSync(file, bytes);
  const other = { ...task, seed: 8 };
  await runFineTune(other, { log });
  assert.equal(said.length, 2);
  assert.match(said[0]!, /damaged/);
  assert.match(said[1]!, /another task/);
  assert.ok(first.written);
});

test("checkpoints are made while training, and a job that was killed goes on from the last", async (t) => {
  const world = new TextWorld(seedOf("killed", 57), 120);
  const options = { promote: "always", epochs: 3, batchSize: 16 } as const;
  const whole = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  await runFineTune(whole);
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() }, options);
  const file = join(task.encoder!.checkpoints, "encoder-training.ckpt");
  let kept: Buffer | undefined;
  const keep = ({ phase, done }: { phase: string; done: number }) => {
    if (phase === "training" && done > 4 && existsSync(file)) kept ??= readFileSync(file);
  };
  await runEncoderFineTune(task, { onProgress: keep }, { checkpointEveryMs: 0 });
  assert.ok(kept !== undefined);
  writeFileSync(file, kept);
  writeFileSync(task.output.vectors, "");
  await runFineTune(task);
  assert.equal(checksum(task.output.vectors), checksum(whole.output.vectors));
});

test("what cannot be trained is refused by name before any step", async (t) => {
  const world = new TextWorld(seedOf("refusals", 58), 60);
  const task = await world.task(temporaryDirectory(t), { labels: world.labels() });
  const refused = async (changed: FineTuneTask, code: string, message: RegExp) => {
    await assert.rejects(runFineTune(changed), (error: { code: string; message: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });
  };
  await refused({ ...task, encoder: undefined } as unknown as FineTuneTask, "fine_tune_failed", /encoder/);
  await refused({ ...task, options: { ...task.options, memoryMb: 1 } }, "invalid_setting", /memoryMb allows 1 MiB/);
  const few = new TextWorld(1, 20);
  const augmented = await few.task(temporaryDirectory(t), {}, { source: "augmentation" });
  await refused(augmented, "not_enough_feedback", /20 items.*at least 50/);
  const short = join(temporaryDirectory(t), "contents.jsonl");
  writeFileSync(short, '{"text":"one"}\n');
  await refused(
    { ...task, encoder: { ...task.encoder!, contents: short } },
    "fine_tune_failed",
    /1 contents; there are 60/,
  );
});
