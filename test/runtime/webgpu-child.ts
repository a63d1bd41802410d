/*
 * Computes on the CPU and on WebGPU and tells the parent how far the two are apart: a process of its own, so that one whose driver
 * crashes takes no test run along.
 */
import { openEncoder } from "../../src/encoder/index.js";
import { differentiate, encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { type HeldTensor, openSession, type Tensor } from "../../src/runtime/index.js";
import type { Batch } from "../../src/training/batches/batch.js";
import { identityWeights } from "../../src/training/head/head.js";
import { OnnxHeadTrainer } from "../../src/training/head/onnx-head-trainer.js";
import { BaseRows } from "../../src/training/rows/base-rows.js";
import { MemoryRows } from "../../src/training/rows/row-files.js";
import { Random } from "../../src/vector/random.js";
import { descentModel, tensor } from "./models.js";

export interface Report {
  /** Which of `SCENARIOS`. */
  scenario: string;
  /** The largest difference of any number; NaN where one was not finite. */
  furthest: number;
  /** What else was seen. */
  facts: Record<string, unknown>;
}

type Place = "cpu" | "webgpu";
type Scenario = () => Promise<Omit<Report, "scenario">>;

const SEED = 41;

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || a.length === 0) return Number.NaN;
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? Number.NaN))), 0);
}

/** Runs on both, and compares what they give. */
async function compare(compute: (place: Place) => Promise<number[][]>): Promise<number> {
  const [cpu, webgpu] = [await compute("cpu"), await compute("webgpu")];
  return Math.max(...cpu.map((numbers, i) => furthest(numbers, webgpu[i] ?? [])));
}

const SCENARIOS: Record<string, Scenario> = {
  "held tensors": async () => {
    const d = 32;
    const facts: Record<string, unknown> = {};
    const x = tensor([64, d], (index) => Math.sin(index));
    const far = await compare(async (provider) => {
      const session = await openSession(descentModel(d), { provider, threads: 1, hold: ["next"] });
      let w: Tensor | HeldTensor = tensor([d, d], (index) => Math.cos(index));
      const losses: number[] = [];
      const kept: HeldTensor[] = [];
      for (let step = 0; step < 4; step++) {
        const { tensors, held } = await session.runHolding({ x, w }, ["next"]);
        losses.push(tensors.loss?.data[0] as number);
        w = held.next as HeldTensor;
        kept.push(w);
      }
      const last = kept.at(-1) as HeldTensor;
      const numbers = Array.from((await last.read()).data, Number);
      kept[0]?.release();
      // What is not asked to stay comes back, also where the session was opened to hold it.
      const { next } = await session.run({ x, w: kept[2] as HeldTensor });
      const again = Array.from(next?.data ?? [], Number);
      if (provider === "webgpu") facts.onDevice = kept.map((each) => each.onDevice);
      await session.close();
      if (provider === "webgpu") {
        facts.released = kept.map((each) => each.released);
        facts.refused = await last.read().catch((error: Error) => error.message);
      }
      return [losses, numbers, again];
    });
    return { furthest: far, facts };
  },

  encode: async () => {
    const texts = ["Where is my card?", "I would like to change my PIN, please."];
    const facts: Record<string, unknown> = {};
    const far = await compare(async (provider) => {
      const encoder = await openEncoder("use-lite", { provider, threads: 1 });
      facts[provider] = encoder.provider;
      const { vectors } = await encoder.encode(texts);
      await encoder.close();
      return [Array.from(vectors)];
    });
    return { furthest: far, facts };
  },

  "a convolution and its gradient": async () => {
    const model = convolutionStep();
    const far = await compare(async (provider) => {
      const session = await openSession(model, { provider, threads: 1 });
      const { loss, gradient } = await session.run({
        x: tensor([2, 3, 9, 9], (index) => Math.sin(index)),
        w: tensor([4, 3, 3, 3], (index) => Math.cos(3 * index)),
      });
      await session.close();
      return [Array.from(loss?.data ?? [], Number), Array.from(gradient?.data ?? [], Number)];
    });
    return { furthest: far, facts: {} };
  },

  "steps of a head": async () => {
    const facts: Record<string, unknown> = {};
    const far = await compare(async (provider) => {
      const [dimensions, items, lines] = [16, 40, 4];
      const random = new Random(SEED);
      const rows = new MemoryRows(
        Float32Array.from({ length: items * dimensions }, () => random.normal()),
        dimensions,
      );
      const none = new MemoryRows(new Float32Array(0), dimensions);
      const trainer = await OnnxHeadTrainer.open({
        dimensions,
        metric: "cosine",
        provider,
        threads: 1,
        recipe: { loss: "triplet", learningRate: 3e-3, margin: 0.3, temperature: 0.1 },
        batchNegatives: "all",
        batchSize: lines,
        identityPenalty: 1,
      });
      facts[provider] = trainer.provider;
      const base = new BaseRows(rows, none, dimensions, "cosine", random);
      const training = trainer.start(identityWeights(dimensions));
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) losses.push(await training.step(lineBatch(random, items, lines), base));
      const weights = Array.from(await training.weights());
      training.release();
      await trainer.close();
      return [losses, weights];
    });
    return { furthest: far, facts };
  },
};

/** Sum of squares of a small convolutional net, and its gradient with respect to the filters. */
function convolutionStep(): Uint8Array {
  const graph = new GraphBuilder("convolution");
  const x = graph.input("x", "float32", [2, 3, 9, 9]);
  const w = graph.input("w", "float32", [4, 3, 3, 3]);
  const convolved = graph.operator("Conv", [x, w], { strides: [2, 2], pads: [1, 1, 1, 1], kernel_shape: [3, 3] });
  const pooled = graph.operator("GlobalAveragePool", [graph.relu(convolved)]);
  const loss = graph.reduceSum(graph.pow(pooled, 2));
  const [gradient = loss] = differentiate(graph, loss, [w]);
  graph.output(loss, "loss");
  graph.output(gradient, "gradient");
  return encodeModel(graph.model());
}

/** Anchors, their positives, and as many others; every row that is not an anchor's own or its positive is its negative. */
function lineBatch(random: Random, items: number, lines: number): Batch {
  const count = 3 * lines;
  const rows = random.shuffle(Int32Array.from({ length: items }, (_, item) => item)).slice(0, count);
  const negatives = Float32Array.from({ length: lines * count }, (_, i) => {
    const [line, row] = [Math.floor(i / count), i % count];
    return row === line || row === line + lines ? 0 : 1;
  });
  const from = (first: number) => Int32Array.from({ length: lines }, (_, line) => first + line);
  return { items: rows, anchors: from(0), positives: from(lines), negatives };
}

for (const [scenario, run] of Object.entries(SCENARIOS)) {
  const outcome = await run().catch((error: Error) => ({ furthest: Number.NaN, facts: { error: error.message } }));
  process.send?.({ scenario, ...outcome } satisfies Report);
}
process.disconnect();
