import assert from "node:assert/strict";
import { test } from "node:test";
import { differentiate, encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { floats, tensor } from "../../src/training/engines/engine.js";
import { graphOperations } from "../../src/training/engines/graph-operations.js";
import { tripletLoss } from "../../src/training/losses/triplet.js";
import type { Metric } from "../../src/vector/metric.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

const [N, M, D] = [5, 9, 4];

type Rows = number[][];
interface Batch {
  anchors: Rows;
  positives: Rows;
  candidates: Rows;
  negatives: Rows;
}

function distance(metric: Metric, a: number[], b: number[]): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  if (metric === "cosine") return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
}

/** The loss by loops over every triplet, in float64. */
function naiveLoss(metric: Metric, { anchors, positives, candidates, negatives }: Batch, margin: number): number {
  let sum = 0;
  let active = 0;
  for (let i = 0; i < anchors.length; i++) {
    for (let j = 0; j < candidates.length; j++) {
      if (negatives[i]![j] === 0) continue;
      const violation =
        distance(metric, anchors[i]!, positives[i]!) - distance(metric, anchors[i]!, candidates[j]!) + margin;
      if (violation <= 0) continue;
      sum += violation;
      active++;
    }
  }
  return active === 0 ? 0 : sum / active;
}

/** Loss and gradients by the graph. */
async function graphLoss(metric: Metric, batch: Batch, margin: number) {
  const graph = new GraphBuilder("loss");
  const ops = graphOperations(graph);
  const input = {
    anchors: graph.input("anchors", "float32", [N, D]),
    positives: graph.input("positives", "float32", [N, D]),
    candidates: graph.input("candidates", "float32", [M, D]),
    negatives: graph.input("negatives", "float32", [N, M]),
  };
  const loss = tripletLoss(ops, input, { metric, margin: graph.constant(margin) });
  const trained = [input.anchors, input.positives, input.candidates];
  const gradients = differentiate(graph, loss, trained);
  graph.output(loss, "loss");
  for (const [i, gradient] of gradients.entries()) graph.output(gradient, `gradient${i}`);
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  const feed = (rows: Rows) => tensor(Float32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
  const outputs = await session.run({
    anchors: feed(batch.anchors),
    positives: feed(batch.positives),
    candidates: feed(batch.candidates),
    negatives: feed(batch.negatives),
  });
  await session.close();
  return { loss: floats(outputs, "loss")[0]!, gradients: [0, 1, 2].map((i) => floats(outputs, `gradient${i}`)) };
}

function randomBatch(random: Random): Batch {
  const rows = (count: number) =>
    Array.from({ length: count }, () => Array.from({ length: D }, () => Math.fround(random.normal())));
  return {
    anchors: rows(N),
    positives: rows(N),
    candidates: rows(M),
    negatives: Array.from({ length: N }, () => Array.from({ length: M }, () => (random.uniform() < 0.7 ? 1 : 0))),
  };
}

for (const metric of ["cosine", "euclidean"] as const) {
  test(`triplet loss under ${metric} agrees with naive loops, its gradient with their finite differences`, async () => {
    const random = new Random(seedOf(`triplet ${metric}`, 106));
    for (let round = 0; round < 5; round++) {
      const batch = randomBatch(random);
      const margin = [0.05, 0.2, 0.5, 1, 2][round]!;
      const { loss, gradients } = await graphLoss(metric, batch, margin);
      assert.ok(Math.abs(loss - naiveLoss(metric, batch, margin)) < 1e-5);
      [batch.anchors, batch.positives, batch.candidates].forEach((rows, which) => {
        rows.forEach((row, i) => {
          row.forEach((value, k) => {
            const at = (moved: number) => {
              row[k] = moved;
              return naiveLoss(metric, batch, margin);
            };
            const slope = (at(value + 1e-6) - at(value - 1e-6)) / 2e-6;
            row[k] = value;
            const found = gradients[which]![i * D + k]!;
            assert.ok(Math.abs(found - slope) < 2e-4 * Math.max(1, Math.abs(slope)), `${found} is not ${slope}`);
          });
        });
      });
    }
  });

  test(`a batch with no valid or no active triplet under ${metric} gives loss 0 and gradient 0`, async () => {
    const random = new Random(107);
    const nothing = randomBatch(random);
    nothing.negatives = nothing.negatives.map((row) => row.map(() => 0));
    const ordered = randomBatch(random);
    ordered.positives = ordered.anchors.map((row) => [...row]);
    const padded = randomBatch(random);
    padded.anchors[0] = [0, 0, 0, 0];
    padded.positives[0] = [0, 0, 0, 0];
    padded.candidates[0] = [0, 0, 0, 0];
    padded.negatives = padded.negatives.map((row, i) => row.map((value, j) => (i === 0 || j === 0 ? 0 : value)));
    for (const [batch, margin] of [
      [nothing, 0.5],
      [ordered, 1e-6],
    ] as const) {
      const { loss, gradients } = await graphLoss(metric, batch, margin);
      assert.equal(loss, 0);
      for (const gradient of gradients) assert.ok(gradient.every((value) => value === 0));
    }
    const { loss, gradients } = await graphLoss(metric, padded, 0.5);
    assert.ok(Number.isFinite(loss));
    for (const gradient of gradients) {
      assert.ok(gradient.every(Number.isFinite));
      assert.ok(
        gradient.subarray(0, D).every((value) => value === 0),
        "rows of padding get no gradient",
      );
    }
  });
}
