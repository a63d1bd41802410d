import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { reportOf } from "../../src/training/gate/report.js";
import {
  type FineTunePlan,
  type GivenOptions,
  LOSS_NAMES,
  type NumberedFeedback,
  resolveOptions,
  runFineTune,
  spawnFineTune,
} from "../../src/training/index.js";
import { recipeOf, reportedRecipe } from "../../src/training/losses/recipe.js";
import { recipesToTry } from "../../src/training/losses/recipes.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { NO_FEEDBACK, World } from "./support.js";

const FAST: GivenOptions = { learningRate: 6e-3, epochs: 10 };

const kinds: Record<string, (world: World) => Partial<NumberedFeedback>> = {
  triplets: (world) => ({ triplets: world.triplets(100) }),
  pairs: (world) => ({ pairs: world.triplets(100).map(([a, p]) => [a, p, "similar"]) }),
  labels: (world) => ({ labels: world.classes.slice(0, 150).map((label, item) => [item, `class ${label}`]) }),
};

for (const loss of LOSS_NAMES) {
  test(`${loss} learns from triplets, from pairs and from labels`, async (t) => {
    const world = new World(seedOf(loss, 130), 250);
    for (const [i, feedback] of Object.values(kinds).entries()) {
      const metric = i === 1 ? "euclidean" : "cosine";
      const options = { ...FAST, loss };
      const result = await runFineTune(world.task(temporaryDirectory(t), feedback(world), { metric, options }));
      const gain = result.metrics.improvement.mean;
      assert.ok(gain > 0.05, `gain ${gain} under ${metric}`);
      assert.equal(result.recipe.loss, loss);
    }
  });
}

test("every miner and every choice among a batch's negatives learns", async (t) => {
  const world = new World(seedOf("miners", 131), 250);
  const triplets = world.triplets(100);
  for (const options of [
    { miner: "none" },
    { miner: "random" },
    { batchNegatives: "hard" },
    { batchNegatives: "semi-hard", loss: "info-nce" },
  ] as const) {
    const pairs = triplets.map(([a, p]): [number, number, "similar"] => [a, p, "similar"]);
    const task = world.task(temporaryDirectory(t), { pairs }, { options: { ...FAST, ...options } });
    const { metrics } = await runFineTune(task);
    assert.ok(metrics.improvement.mean > 0, `${JSON.stringify(options)}: ${metrics.improvement.mean}`);
  }
});

test("auto tries its recipes, and takes the one that the validation parts like best", async (t) => {
  const world = new World(seedOf("auto", 132), 300);
  const options = { ...FAST, loss: "auto" as const };
  const plans: FineTunePlan[] = [];
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(120) }, { options });
  const result = await runFineTune(task, { onPlan: (plan) => plans.push(plan) });
  const recipes = recipesToTry(resolveOptions(options), "cosine", 1);
  const name = ({ loss, learningRate }: { loss: string; learningRate: number }) => `${loss} ${learningRate}`;
  assert.deepEqual(result.tried?.map(name), recipes.map(name));
  const best = result.tried!.reduce((leader, tried) => (tried.validation > leader.validation ? tried : leader));
  assert.equal(name(result.recipe), name(best));
  assert.equal(result.outcome, "passed");
  assert.equal(plans.length, 1);
  assert.ok(plans[0]!.steps >= result.steps * recipes.length);
});

test("auto turns shuffled positives down, however many recipes it tries", async (t) => {
  let turnedDown = 0;
  const seed = seedOf("auto shuffled", 133);
  for (let round = 0; round < 3; round++) {
    const world = new World(seed + round, 300);
    const options = { ...FAST, loss: "auto" as const };
    const task = world.task(temporaryDirectory(t), { triplets: world.triplets(80, true) }, { options });
    if ((await runFineTune(task)).outcome === "rejected") turnedDown++;
  }
  assert.ok(turnedDown >= 2, `${turnedDown} of 3 turned down`);
});

test("the plan is told once, before the first step, and its memory is within a quarter of what is measured", async (t) => {
  const world = new World(134, 200);
  const directory = temporaryDirectory(t);
  const taskFile = join(directory, "task.json");
  writeFileSync(taskFile, JSON.stringify(world.task(directory, { triplets: world.triplets(40) })));
  const order: string[] = [];
  let told: FineTunePlan | undefined;
  const { peakMemoryBytes = 0, provider } = await spawnFineTune(taskFile, {
    onPlan: (plan) => {
      told = plan;
      order.push("plan");
    },
    onProgress: ({ phase }) => order.push(phase),
  });
  assert.equal(order[0], "plan");
  assert.equal(order.filter((each) => each === "plan").length, 1);
  assert.deepEqual([told?.parameters, told?.parts, told?.provider], [16 * 16, 1, provider]);
  const ratio = (told?.memoryBytes ?? 0) / peakMemoryBytes;
  assert.ok(ratio > 0.75 && ratio < 1.25, `stated ${told?.memoryBytes}, measured ${peakMemoryBytes}`);
});

test("a training that diverges fails, says at which step and what to do, and writes nothing", async (t) => {
  const world = new World(135, 200);
  for (const loss of LOSS_NAMES) {
    const options = { loss, learningRate: 1e30, promote: "always" as const };
    const task = world.task(temporaryDirectory(t), { triplets: world.triplets(40) }, { options });
    await assert.rejects(runFineTune(task), (error) => {
      assert.ok(error instanceof AttuneError && error.code === "fine_tune_failed");
      assert.match(error.message, /diverged at step \d+.*smaller learningRate/s);
      return true;
    });
    assert.ok(!existsSync(task.output.model));
  }
});

test("recipes take the loss's defaults; a given margin is in the collection's distance units", () => {
  const plain = recipeOf("triplet", resolveOptions({}), "euclidean", 4);
  assert.deepEqual(reportedRecipe(plain, "euclidean", 4), { loss: "triplet", learningRate: 3e-4, margin: 0.8 });
  const given = recipeOf("contrastive", resolveOptions({ margin: 2 }), "euclidean", 4);
  assert.equal(given.margin, 0.5);
  assert.equal(reportedRecipe(given, "euclidean", 4).margin, 2);
  const soft = recipeOf("info-nce", resolveOptions({ temperature: 0.3 }), "cosine", 1);
  assert.deepEqual(reportedRecipe(soft, "cosine", 1), { loss: "info-nce", learningRate: 3e-4, temperature: 0.3 });
});

test("the report tells labels by size, and the anchors that changed most", () => {
  const labels: [number, string][] = [
    [0, "a"],
    [1, "a"],
    [2, "a"],
    [3, "b"],
    [4, "b"],
  ];
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, labels });
  const ranks = {
    judgements: [0, 1, 3].map((anchor) => ({ anchor, targets: [anchor + 1] })),
    before: [[10], [100], [5]],
    after: [[1], [100], [50]],
  };
  const log = Math.log;
  const report = reportOf(ranks, graph, "similar");
  assert.deepEqual(report, {
    labels: [
      { label: "a", anchors: 2, before: (log(10) + log(100)) / 2, after: (log(1) + log(100)) / 2 },
      { label: "b", anchors: 1, before: log(5), after: log(50) },
    ],
    better: [{ anchor: 0, before: log(10), after: log(1) }],
    worse: [{ anchor: 3, before: log(5), after: log(50) }],
  });
  const marked = reportOf(ranks, graph, "dissimilar");
  assert.deepEqual([marked.better?.[0]?.anchor, marked.worse?.[0]?.anchor], [3, 0]);
  const views = { ...ranks, judgements: [7, 8, 9].map((view, i) => ({ anchor: view, targets: [i] })) };
  assert.deepEqual(reportOf(views, new FeedbackGraph(NO_FEEDBACK), "augmentation").better?.[0]?.anchor, 0);
  assert.equal(reportOf(views, new FeedbackGraph(NO_FEEDBACK), "augmentation").labels, undefined);
});
