import assert from "node:assert/strict";
import test from "node:test";
import { FOLDS } from "../../src/training/gate/folds.js";
import { startLanes, type ThreadLane } from "../../src/training/head/thread-lane.js";
import { type FineTuneTask, runFineTune } from "../../src/training/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { World } from "./support.js";

const NOT_TOLD = () => {};

async function lanesOf(changes: Partial<FineTuneTask>): Promise<number> {
  const lanes = startLanes({ threads: 3, options: {}, ...changes } as FineTuneTask);
  await closeAll(lanes);
  return lanes.length;
}

async function closeAll(lanes: readonly ThreadLane[]): Promise<void> {
  await Promise.all(lanes.map((lane) => lane.close()));
}

test("beside the thread that asks there is one for each further one, and no more than folds", async () => {
  assert.equal(await lanesOf({}), 2);
  assert.equal(await lanesOf({ provider: "cpu" }), 2);
  assert.equal(await lanesOf({ provider: "auto" }), 2);
  assert.equal(await lanesOf({ threads: 1 }), 0);
  assert.equal(await lanesOf({ threads: 64 }), FOLDS - 1);
});

test("what a device trains, and what is no head, takes no threads beside", async () => {
  assert.equal(await lanesOf({ provider: "cuda" }), 0);
  assert.equal(await lanesOf({ provider: "webgpu" }), 0);
  assert.equal(await lanesOf({ options: { engine: "tfjs" } }), 0);
  assert.equal(await lanesOf({ options: { scope: "encoder" } }), 0);
});

test("a lane tells with its code why its task cannot be read, and what comes after its end fails", async (t) => {
  const world = new World(61);
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(3) }, { threads: 2 });
  const lanes = startLanes(task);
  const [lane] = lanes as [ThreadLane];
  lane.start({ task }, NOT_TOLD);
  await assert.rejects(lane.do({ kind: "fold", recipe: 0, fold: 0 }), { code: "not_enough_feedback" });
  await closeAll(lanes);
  await assert.rejects(lane.do({ kind: "look", weights: new Float32Array(0) }), {
    code: "fine_tune_failed",
    message: /has died: it ended/,
  });
});

test("a lane that is closed in the middle of a training gives it up", async (t) => {
  const world = new World(62);
  const changes = { threads: 2, options: { epochs: 100_000 } };
  const task = world.task(temporaryDirectory(t), { triplets: world.triplets(60) }, changes);
  const lanes = startLanes(task);
  const [lane] = lanes as [ThreadLane];
  const begun = new Promise<void>((resolve) => lane.start({ task }, (made) => made > 0 && resolve()));
  const training = assert.rejects(lane.do({ kind: "fold", recipe: 0, fold: 0 }));
  await begun;
  await closeAll(lanes);
  await training;
});

test("a fine-tune ends the lanes that it was given, however it ends", async (t) => {
  const world = new World(63);
  const make = (lines: number) =>
    world.task(temporaryDirectory(t), { triplets: world.triplets(lines) }, { threads: 2, options: { epochs: 2 } });
  for (const [lines, expected] of [
    [60, "passed or rejected"],
    [3, "not_enough_feedback"],
  ] as const) {
    const task = make(lines);
    const lanes = startLanes(task);
    const outcome = await runFineTune(task, {}, lanes).then(
      () => "passed or rejected",
      ({ code }) => code,
    );
    assert.equal(outcome, expected);
    for (const lane of lanes) await assert.rejects(lane.do({ kind: "fold", recipe: 0, fold: 0 }), /it ended/);
  }
});
