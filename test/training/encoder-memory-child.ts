import { describeEncoder, type PreparedInput } from "../../src/encoder/index.js";
import { startingState } from "../../src/training/encoder/encoder-state.js";
import { EncoderTrainer } from "../../src/training/encoder/encoder-trainer.js";
import { openTunableEncoder } from "../../src/training/encoder/open-tunable-encoder.js";
import { peakMemoryBytes } from "../../src/training/task/peak-memory.js";
import { Random } from "../../src/vector/random.js";

export interface MeasuredStep {
  statedBytes: number;
  peakBytes: number;
  whole: boolean;
}

/** Says what steps of use-lite on rows of up to so many tokens will take, takes a few of varying shapes, and says what they took. */
async function main(rows: number, tokens: number, memoryMb: number | undefined): Promise<MeasuredStep> {
  const random = new Random(5);
  const description = await describeEncoder("use-lite");
  const opened = await openTunableEncoder(description, 512, { parameters: "all", layers: 1, rank: 1 }, random);
  const recipe = { loss: "info-nce", learningRate: 1e-5, margin: 0.2, temperature: 0.1 } as const;
  const limit = memoryMb === undefined ? undefined : memoryMb * 2 ** 20 - process.memoryUsage().rss;
  const trainer = await EncoderTrainer.open({
    ...opened,
    metric: "cosine",
    scale: 1,
    objectives: [{ recipe, weight: 1, batchNegatives: "all" }],
    gradientClip: 1,
    weightDecay: 0.01,
    provider: "cpu",
    threads: 1,
    ...(limit !== undefined && { memoryBytes: limit }),
  });
  const lengths = Array.from({ length: rows }, () => Math.ceil(tokens * (0.2 + 0.8 * random.uniform()))).sort(
    (a, b) => a - b,
  );
  const statedBytes = process.memoryUsage().rss + trainer.bytesOf(lengths);
  const { whole } = trainer.cut(lengths);
  const anchors = Int32Array.from({ length: rows }, (_, i) => i);
  const negatives = new Float32Array(rows * rows).fill(1);
  let state = startingState(opened.encoder.trained.weights);
  for (let step = 0; step < 3; step++) {
    const inputs = lengths.map((length): PreparedInput => {
      const count = step === 0 ? length : Math.max(1, length - random.integer(4));
      return { kind: "tokens", ids: Array.from({ length: count }, () => 6 + random.integer(7_000)), truncated: false };
    });
    const objectives = [{ anchors, positives: anchors.map((i) => (i + 1) % rows), negatives }];
    ({ state } = await trainer.step(state, { inputs, objectives }, 1e-5));
  }
  return { statedBytes, peakBytes: peakMemoryBytes(), whole };
}

const [rows, tokens, memoryMb] = process.argv.slice(2).map(Number);
const measured = await main(rows!, tokens!, memoryMb || undefined);
process.send!(measured, () => process.disconnect());
