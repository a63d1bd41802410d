import assert from "node:assert/strict";
import { test } from "node:test";
import { differentiate, encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { floats, tensor } from "../../src/training/engines/engine.js";
import { graphOperations } from "../../src/training/engines/graph-operations.js";
import { LOSS_NAMES, type LossName } from "../../src/training/index.js";
import { batchLoss, LOSSES } from "../../src/training/losses/index.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { type NaiveBatch, type NaiveSettings, naiveLoss } from "./naive-losses.js";

const [N, R, D] = [5, 12, 4];
const METRICS = ["cosine", "euclidean"] as const;
const CHOICES = ["all", "hard", "semi-hard"] as const;

interface Found {
  loss: number;
  /** With respect to the rows, R x d. */
  gradient: Float32Array;
}

/** Loss and gradient by the graph. */
async function openLoss(name: LossName, { metric, batchNegatives }: NaiveSettings) {
  const graph = new GraphBuilder("loss");
  const rows = graph.input("rows", "float32", ["R", D]);
  const batch = {
    rows,
    anchors: graph.input("anchors", "int32", ["n"]),
    positives: graph.input("positives", "int32", ["n"]),
    negatives: graph.input("negatives", "float32", ["n", "R"]),
  };
  const scalar = (given: string) => graph.input(given, "float32", []);
  const settings = { metric, batchNegatives, margin: scalar("margin"), temperature: scalar("temperature") };
  const loss = batchLoss(graphOperations(graph), LOSSES[name], batch, settings);
  const [gradient] = differentiate(graph, loss, [rows]);
  graph.output(loss, "loss");
  graph.output(gradient!, "gradient");
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  const feed = (lines: number[][]) => tensor(Float32Array.from(lines.flat()), [lines.length, lines[0]!.length]);
  const positions = (rows: number[]) => ({
    dtype: "int32" as const,
    shape: [rows.length],
    data: Int32Array.from(rows),
  });
  return {
    async look(given: NaiveBatch, { margin, temperature }: NaiveSettings): Promise<Found> {
      const outputs = await session.run({
        rows: feed(given.rows),
        anchors: positions(given.anchors),
        positives: positions(given.positives),
        negatives: feed(given.negatives),
        margin: tensor(Float32Array.of(margin), []),
        temperature: tensor(Float32Array.of(temperature), []),
      });
      return { loss: floats(outputs, "loss")[0]!, gradient: floats(outputs, "gradient").slice() };
    },
    close: () => session.close(),
  };
}

async function graphLoss(name: LossName, batch: NaiveBatch, settings: NaiveSettings): Promise<Found> {
  const opened = await openLoss(name, settings);
  const found = await opened.look(batch, settings);
  await opened.close();
  return found;
}

/** Rows 0 to n - 1 are anchors, the next n their positives; some serve two lines, and one anchor is its own positive. */
function randomBatch(random: Random): NaiveBatch {
  const rows = Array.from({ length: R }, () => Array.from({ length: D }, () => Math.fround(random.normal())));
  const anchors = Array.from({ length: N }, (_, i) => i);
  const positives = anchors.map((i) => N + i);
  positives[1] = 0;
  positives[2] = 2;
  const negatives = anchors.map((anchor, i) =>
    rows.map((_, j) => (j !== anchor && j !== positives[i] && random.uniform() < 0.7 ? 1 : 0)),
  );
  return { rows, anchors, positives, negatives };
}

function settingsOf(metric: NaiveSettings["metric"], changes: Partial<NaiveSettings> = {}): NaiveSettings {
  return { metric, margin: 0.5, temperature: 0.4, batchNegatives: "all", ...changes };
}

for (const name of LOSS_NAMES) {
  for (const metric of METRICS) {
    test(`${name} under ${metric} agrees with naive loops, its gradient with their finite differences`, async () => {
      const random = new Random(seedOf(`${name} ${metric}`, 106));
      for (const batchNegatives of CHOICES) {
        const opened = await openLoss(name, settingsOf(metric, { batchNegatives }));
        for (const [margin, temperature] of [
          [0.05, 1],
          [0.3, 0.3],
          [1.2, 0.1],
        ] as const) {
          const settings = settingsOf(metric, { margin, temperature, batchNegatives });
          const batch = randomBatch(random);
          const { loss, gradient } = await opened.look(batch, settings);
          const expected = naiveLoss(name, batch, settings);
          assert.ok(Math.abs(loss - expected) < 2e-5 * Math.max(1, expected), `${loss} is not ${expected}`);
          batch.rows.forEach((row, i) => {
            row.forEach((value, k) => {
              const at = (moved: number) => {
                row[k] = moved;
                return naiveLoss(name, batch, settings);
              };
              const slope = (at(value + 1e-6) - at(value - 1e-6)) / 2e-6;
              row[k] = value;
              const found = gradient[i * D + k]!;
              const tolerance = 5e-4 * Math.max(1, Math.abs(slope));
              assert.ok(Math.abs(found - slope) < tolerance, `row ${i}: ${found} is not ${slope}`);
            });
          });
        }
        await opened.close();
      }
    });

    test(`${name} under ${metric}: without a valid pair the loss is 0 and so is the gradient`, async () => {
      const random = new Random(seedOf(`${name} ${metric} nothing`, 107));
      for (const batchNegatives of CHOICES) {
        const settings = settingsOf(metric, { batchNegatives });
        const none = randomBatch(random);
        none.negatives = none.negatives.map((line) => line.map(() => 0));
        const one: NaiveBatch = { rows: [[1, 2, 3, 4]], anchors: [0], positives: [0], negatives: [[0]] };
        for (const batch of [none, one]) {
          const { loss, gradient } = await graphLoss(name, batch, settings);
          assert.equal(loss, 0);
          assert.ok(gradient.every((value) => value === 0));
        }
      }
    });

    test(`${name} under ${metric}: identical and zero rows give numbers, filling gets no gradient`, async () => {
      const random = new Random(seedOf(`${name} ${metric} degenerate`, 108));
      for (const batchNegatives of CHOICES) {
        const settings = settingsOf(metric, { batchNegatives });
        const zero = randomBatch(random);
        zero.rows = zero.rows.map((row) => row.map(() => 0));
        const identical = randomBatch(random);
        identical.rows = identical.rows.map(() => [0.5, -1, 0.25, 2]);
        for (const batch of [zero, identical]) {
          const { loss, gradient } = await graphLoss(name, batch, settings);
          assert.ok(Number.isFinite(loss));
          // The penalty of N-pair is on lengths, which identical rows have too.
          const isStill = (value: number) => Math.abs(value) < 1e-3;
          if (batch === zero) assert.ok(gradient.every((value) => value === 0));
          else if (name === "n-pair") assert.ok(gradient.every(Number.isFinite));
          else assert.ok(gradient.every(isStill), `${gradient}`);
        }
        const filled = randomBatch(random);
        filled.rows[0] = [0, 0, 0, 0];
        filled.positives = filled.positives.map((row, i) => (i === 0 || row === 0 ? filled.anchors[i]! : row));
        filled.negatives = filled.negatives.map((line, i) => line.map((value, j) => (i === 0 || j === 0 ? 0 : value)));
        const { loss, gradient } = await graphLoss(name, filled, settings);
        const without = { ...filled, anchors: filled.anchors.slice(1), positives: filled.positives.slice(1) };
        without.negatives = filled.negatives.slice(1);
        assert.ok(Math.abs(loss - naiveLoss(name, without, settings)) < 1e-4);
        assert.ok(gradient.every(Number.isFinite));
        assert.ok(gradient.subarray(0, D).every((value) => value === 0));
      }
    });
  }
}
