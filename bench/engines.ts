import type { Batch } from "../src/training/batches/batch.js";
import { TfjsHeadTrainer } from "../src/training/engines/tfjs/tfjs-head-trainer.js";
import { identityWeights } from "../src/training/head/head.js";
import { OnnxHeadTrainer } from "../src/training/head/onnx-head-trainer.js";
import { LOSS_NAMES, type LossName } from "../src/training/index.js";
import { BaseRows } from "../src/training/rows/base-rows.js";
import { MemoryRows } from "../src/training/rows/row-files.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { percentile } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";

const args = readArgs("What one training step of a head takes, by engine.", {
  engines: { default: "onnx,tfjs", describe: "onnx, tfjs, or both with a comma between them" },
  provider: { default: "cpu", describe: "of ONNX Runtime: cpu, cuda, webgpu, coreml or dml" },
  threads: { default: 2, describe: "of ONNX Runtime" },
  loss: { default: "triplet", describe: LOSS_NAMES.join(", ") },
  dimensions: { default: 512, describe: "of the vectors; the head is dimensions x dimensions" },
  batchSize: { default: 64, describe: "anchors in a step, each with a positive and a negative" },
  steps: { default: 50, describe: "measured, after 5 to warm up" },
  seed: { default: 1, describe: "of the random vectors" },
  smoke: { default: false, describe: "16 dimensions, 2 steps: only shows that it runs" },
});
const settings = args.smoke ? { ...args, dimensions: 16, batchSize: 8, steps: 2 } : args;
const WARM_UP = 5;

const report = new Report("engines", settings);
const rows: Row[] = [];
for (const engine of settings.engines.split(",")) rows.push(await measure(engine));
report.table("milliseconds a step", rows);
report.save(args.json);

async function measure(engine: string): Promise<Row> {
  const { dimensions, batchSize, steps, seed } = settings;
  const random = new Random(seed);
  const count = 3 * batchSize;
  const vectors = Float32Array.from({ length: count * dimensions }, () => random.normal());
  const none = new MemoryRows(new Float32Array(0), dimensions);
  const base = new BaseRows(new MemoryRows(vectors, dimensions), none, dimensions, "cosine", random);
  const trainer = await (engine === "tfjs" ? TfjsHeadTrainer : OnnxHeadTrainer).open({
    dimensions,
    metric: "cosine",
    provider: settings.provider as "cpu",
    threads: settings.threads,
    recipe: { loss: settings.loss as LossName, learningRate: 3e-4, margin: 0.2, temperature: 0.1 },
    batchNegatives: "all",
    batchSize,
    identityPenalty: 1,
  });
  const training = trainer.start(identityWeights(dimensions));
  const elapsed: number[] = [];
  for (let step = 0; step < WARM_UP + steps; step++) {
    const started = performance.now();
    await training.advance([batchOfRows(batchSize)], base);
    if (step >= WARM_UP) elapsed.push(performance.now() - started);
  }
  training.release();
  await trainer.close();
  elapsed.sort((a, b) => a - b);
  return {
    engine,
    on: trainer.provider,
    steps,
    min: percentile(elapsed, 0),
    median: percentile(elapsed, 0.5),
    p99: percentile(elapsed, 0.99),
  };
}

/** Anchors, their positives, and as many others. */
function batchOfRows(lines: number): Batch {
  const count = 3 * lines;
  const from = (first: number) => Int32Array.from({ length: lines }, (_, line) => first + line);
  const negatives = Float32Array.from({ length: lines * count }, (_, i) =>
    (i % count) % lines === Math.floor(i / count) ? 0 : 1,
  );
  return {
    items: Int32Array.from({ length: count }, (_, row) => row),
    anchors: from(0),
    positives: from(lines),
    negatives,
  };
}
