/*
 * Computes on the CPU and on WebGPU and tells the parent how far the two are apart: a process of its own, so that one whose driver
 * crashes takes no test run along.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ModelDescription, openEncoder, type PreparedInput } from "../../src/encoder/index.js";
import { DIMENSIONS, IMAGE_SIZE, PIXEL_DEVIATION, PIXEL_MEAN } from "../../src/encoder/patch-cnn/architecture.js";
import { buildPatchCnn } from "../../src/encoder/patch-cnn/graph.js";
import { HeldTensor, openSession, type Tensor } from "../../src/runtime/index.js";
import type { Batch } from "../../src/training/batches/batch.js";
import { numbersOf, release, startingState } from "../../src/training/encoder/encoder-state.js";
import { EncoderTrainer } from "../../src/training/encoder/encoder-trainer.js";
import { openTunableEncoder } from "../../src/training/encoder/open-tunable-encoder.js";
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

  "a step of an encoder": async () => {
    const facts: Record<string, unknown> = {};
    const directory = mkdtempSync(join(tmpdir(), "attune-webgpu-"));
    const description = patchCnn(join(directory, "model.onnx"));
    const random = new Random(SEED);
    const options = { parameters: "all", layers: 1, rank: 1 } as const;
    const { encoder, inputs } = await openTunableEncoder(description, DIMENSIONS, options, random);
    const images = Array.from({ length: 4 }, () => randomImage(random));
    const negatives = Float32Array.of(0, 0, 1, 1, 1, 1, 0, 0);
    const objective = { anchors: Int32Array.of(0, 2), positives: Int32Array.of(1, 3), negatives };
    const far = await compare(async (provider) => {
      const trainer = await EncoderTrainer.open({
        encoder,
        inputs,
        metric: "cosine",
        scale: 1,
        objectives: [
          {
            recipe: { loss: "info-nce", learningRate: 1e-3, margin: 0.2, temperature: 0.1 },
            weight: 1,
            batchNegatives: "all",
          },
        ],
        gradientClip: 1,
        weightDecay: 0.01,
        provider,
        threads: 1,
      });
      facts[provider] = trainer.provider;
      const rows = { inputs: images, objectives: [objective] };
      const { state, report } = await trainer.step(startingState(encoder.trained.weights), rows, 1e-3);
      facts[`${provider} onDevice`] = state.weights.every((each) => each instanceof HeldTensor && each.onDevice);
      // Not the weights: AdamW's first step is the sign of the gradient, which rounding decides where it is next to 0. The mean is
      // the gradient itself.
      const { means } = await numbersOf(state);
      const embedded = await trainer.embed(state, images);
      release(state.weights, state.means, state.variances);
      await trainer.close();
      return [Object.values(report) as number[], ...means.map((mean) => Array.from(mean)), Array.from(embedded)];
    });
    rmSync(directory, { recursive: true });
    return { furthest: far, facts };
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
      for (let step = 0; step < 3; step++)
        losses.push(...(await training.advance([lineBatch(random, items, lines)], base)));
      const weights = Array.from(await training.weights());
      training.release();
      await trainer.close();
      return [losses, weights];
    });
    return { furthest: far, facts };
  },
};

/** The built-in image encoder, written to a file. */
function patchCnn(path: string): ModelDescription {
  writeFileSync(path, buildPatchCnn());
  return {
    id: "patch-cnn",
    modality: "image",
    modelPath: path,
    outputs: ["embedding"],
    pooling: "mean",
    normalize: true,
    preprocessing: {
      size: { width: IMAGE_SIZE, height: IMAGE_SIZE },
      resize: "none",
      resampling: "bilinear",
      scale: 1 / 255,
      mean: [PIXEL_MEAN, PIXEL_MEAN, PIXEL_MEAN],
      std: [PIXEL_DEVIATION, PIXEL_DEVIATION, PIXEL_DEVIATION],
    },
    checksums: { weights: "", preprocessing: "" },
  };
}

function randomImage(random: Random): PreparedInput {
  const data = Uint8Array.from({ length: 3 * IMAGE_SIZE * IMAGE_SIZE }, () => random.integer(256));
  return { kind: "pixels", pixels: { width: IMAGE_SIZE, height: IMAGE_SIZE, data } };
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
