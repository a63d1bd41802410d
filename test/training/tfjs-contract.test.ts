import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Tensor as TfTensor } from "@tensorflow/tfjs";
import { differentiate, encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { graphOperations } from "../../src/training/engines/graph-operations.js";
import { type OpenTensorflow, openTensorflow } from "../../src/training/engines/tfjs/open-tensorflow.js";
import { tensorflowOperations } from "../../src/training/engines/tfjs/tensorflow-operations.js";
import { batchLoss, LOSSES } from "../../src/training/losses/index.js";
import { LOSS_NAMES, type LossName } from "../../src/training/task/options.js";
import type { Metric } from "../../src/vector/metric.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

type BatchNegatives = "all" | "hard" | "semi-hard";

/** Sizes and numbers of one batch; the last line leaves its anchor out. */
interface Example {
  d: number;
  rows: Float32Array;
  anchors: Int32Array;
  positives: Int32Array;
  negatives: Float32Array;
}

interface Outcome {
  loss: number;
  gradient: Float32Array;
}

function randomExample(random: Random, scale: number): Example {
  const [d, lines, count] = [7, 5, 12];
  const rows = Float32Array.from({ length: count * d }, () => scale * random.normal());
  const pick = () => Int32Array.from({ length: lines }, () => random.integer(count));
  const [anchors, positives] = [pick(), pick()];
  const negatives = Float32Array.from({ length: lines * count }, (_, i) => {
    const [line, row] = [Math.floor(i / count), i % count];
    // No row is its own negative or its positive's: distances of 0 are all rounding, and differ between engines.
    return row !== anchors[line] && row !== positives[line] && random.uniform() < 0.6 ? 1 : 0;
  });
  negatives.fill(0, (lines - 1) * count);
  return { d, rows, anchors, positives, negatives };
}

async function byOnnx(
  loss: LossName,
  metric: Metric,
  batchNegatives: BatchNegatives,
  example: Example,
): Promise<Outcome> {
  const { d, rows, anchors, positives, negatives } = example;
  const [count, lines] = [rows.length / d, anchors.length];
  const graph = new GraphBuilder("contract");
  const input = {
    rows: graph.input("rows", "float32", [count, d]),
    anchors: graph.input("anchors", "int32", [lines]),
    positives: graph.input("positives", "int32", [lines]),
    negatives: graph.input("negatives", "float32", [lines, count]),
  };
  const [margin, temperature] = [graph.input("margin", "float32", []), graph.input("temperature", "float32", [])];
  const value = batchLoss(graphOperations(graph), LOSSES[loss], input, { metric, margin, temperature, batchNegatives });
  const [gradient] = differentiate(graph, value, [input.rows]);
  graph.output(value, "loss");
  graph.output(gradient!, "gradient");
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  const scalar = (x: number) => ({ dtype: "float32" as const, shape: [], data: Float32Array.of(x) });
  const results = await session.run({
    rows: { dtype: "float32", shape: [count, d], data: rows as Float32Array<ArrayBuffer> },
    anchors: { dtype: "int32", shape: [lines], data: anchors as Int32Array<ArrayBuffer> },
    positives: { dtype: "int32", shape: [lines], data: positives as Int32Array<ArrayBuffer> },
    negatives: { dtype: "float32", shape: [lines, count], data: negatives as Float32Array<ArrayBuffer> },
    margin: scalar(0.3),
    temperature: scalar(0.2),
  });
  await session.close();
  return { loss: results.loss!.data[0] as number, gradient: results.gradient!.data as Float32Array };
}

function byTensorflow(
  tf: OpenTensorflow["tf"],
  loss: LossName,
  metric: Metric,
  batchNegatives: BatchNegatives,
  example: Example,
): Outcome {
  const { d, rows, anchors, positives, negatives } = example;
  const [count, lines] = [rows.length / d, anchors.length];
  return tf.tidy(() => {
    const batch = {
      anchors: tf.tensor1d(anchors, "int32"),
      positives: tf.tensor1d(positives, "int32"),
      negatives: tf.tensor2d(negatives, [lines, count]),
    };
    const settings = { metric, margin: tf.scalar(0.3), temperature: tf.scalar(0.2), batchNegatives };
    const ops = tensorflowOperations(tf);
    const of = (embedded: TfTensor) => batchLoss<TfTensor>(ops, LOSSES[loss], { rows: embedded, ...batch }, settings);
    const { value, grad } = tf.valueAndGrad((x) => of(x).asScalar())(tf.tensor2d(rows, [count, d]));
    return { loss: value.dataSync()[0]!, gradient: grad.dataSync() as Float32Array };
  });
}

describe("both engines", () => {
  const seed = seedOf("tfjs contract", 21);
  let tf: OpenTensorflow["tf"];
  before(async () => {
    ({ tf } = await openTensorflow());
  });

  for (const loss of LOSS_NAMES)
    for (const metric of ["cosine", "euclidean"] as const)
      it(`give the same loss and gradient: ${loss}, ${metric}`, async () => {
        const random = new Random(seed);
        for (const batchNegatives of ["all", "hard", "semi-hard"] as const)
          for (const scale of [0.3, 1]) {
            const example = randomExample(random, scale);
            const onnx = await byOnnx(loss, metric, batchNegatives, example);
            const tensorflow = byTensorflow(tf, loss, metric, batchNegatives, example);
            assert.ok(
              Math.abs(onnx.loss - tensorflow.loss) < 1e-4,
              `${batchNegatives}: ${onnx.loss}, ${tensorflow.loss}`,
            );
            assert.equal(tensorflow.gradient.length, onnx.gradient.length);
            onnx.gradient.forEach((g, i) => {
              assert.ok(
                Math.abs(g - tensorflow.gradient[i]!) < 1e-4,
                `${batchNegatives}, ${i}: ${g}, ${tensorflow.gradient[i]}`,
              );
            });
          }
      });

  it("give loss 0 and gradient 0 where a batch has no valid pair", async () => {
    const example = randomExample(new Random(seed), 1);
    example.negatives.fill(0);
    for (const loss of LOSS_NAMES) {
      if (loss === "contrastive") continue;
      const { loss: value, gradient } = byTensorflow(tf, loss, "cosine", "all", example);
      assert.equal(value, 0, loss);
      assert.ok(
        gradient.every((g) => g === 0),
        loss,
      );
    }
  });
});
