import assert from "node:assert/strict";
import { test } from "node:test";
import { bestTogether, checkpointInterval, EarlyStopping } from "../../src/training/gate/early-stopping.js";

test("the best look is kept, and training ends after so many looks without a better one", () => {
  const stopping = new EarlyStopping("start", 3);
  assert.ok(stopping.look(10, 0.1, () => "ten"));
  assert.ok(stopping.look(20, 0.05, () => "twenty"));
  assert.ok(stopping.look(30, 0.3, () => "thirty"));
  assert.ok(stopping.look(40, 0.3, () => "forty"));
  assert.ok(stopping.look(50, 0.2, () => "fifty"));
  assert.ok(!stopping.look(60, 0.1, () => "sixty"));
  assert.deepEqual(stopping.best, { steps: 30, gain: 0.3, kept: "thirty" });
});

test("a training that never helps ends with no steps", () => {
  const stopping = new EarlyStopping("start", 2);
  assert.ok(stopping.look(10, -0.1, () => "ten"));
  assert.ok(!stopping.look(20, Number.NaN, () => "twenty"));
  assert.deepEqual(stopping.best, { steps: 0, gain: 0, kept: "start" });
});

test("folds are pooled by anchors, and one that was given up counts with its last look", () => {
  const curve = (...gains: number[]) => gains.map((validation, i) => ({ step: 10 * (i + 1), loss: 1, validation }));
  const folds = [
    // Best at a quarter by itself, given up at half; many anchors speak for three quarters.
    { curve: curve(0.4, 0.3), plannedSteps: 40, anchors: 10 },
    { curve: curve(0.1, 0.2, 0.5, 0.4), plannedSteps: 40, anchors: 30 },
  ];
  assert.deepEqual(bestTogether(folds), { share: 0.75, gain: (10 * 0.3 + 30 * 0.5) / 40 });
  const never = [{ curve: curve(-0.1, -0.2), plannedSteps: 20, anchors: 5 }];
  assert.deepEqual(bestTogether(never), { share: 0, gain: 0 });
  assert.deepEqual(bestTogether([]), { share: 0, gain: 0 });
});

test("a training is looked at about twenty times, at least every 50 steps", () => {
  assert.equal(checkpointInterval(5), 1);
  assert.equal(checkpointInterval(320), 16);
  assert.equal(checkpointInterval(100_000), 50);
});
