import { describeEncoder, openEncoder } from "../src/encoder/index.js";
import { openSession } from "../src/runtime/index.js";
import { lengthOf } from "../src/training/encoder/contents.js";
import { startingState } from "../src/training/encoder/encoder-state.js";
import { EncoderTrainer } from "../src/training/encoder/encoder-trainer.js";
import { openTunableEncoder } from "../src/training/encoder/open-tunable-encoder.js";
import { wholeStepGraph } from "../src/training/encoder/step-graph.js";
import { type StepRows, sortedByLength } from "../src/training/encoder/step-rows.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { loadIntentData } from "./support/intent-data.js";
import { percentile } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";

const args = readArgs("Training an encoder: what a step costs beside a forward pass over the same batch.", {
  encoder: { default: "use-lite", describe: "a text encoder: use-lite, file:DIRECTORY or hf:ORGANISATION/REPOSITORY" },
  data: { default: "banking77", describe: "texts of banking77, or synthetic" },
  batch: { default: 64, describe: "texts of a batch" },
  steps: { default: 15, describe: "measured steps, after two to warm up" },
  threads: { default: 2, describe: "threads of ONNX Runtime" },
  seed: { default: 1, describe: "of the batches" },
  smoke: { default: false, describe: "synthetic, two steps of 8 texts: only shows that it runs" },
});
const settings = args.smoke ? { ...args, data: "synthetic", batch: 8, steps: 2 } : args;
const { encoder: spec, batch, steps, threads, seed } = settings;

/** Milliseconds of something, by the clock on the wall and by the processor's, which others at work do not lengthen. */
interface Timing {
  wall: number;
  processor: number;
}

const report = new Report("step-cost", settings);
const random = new Random(seed);
const texts = loadIntentData(settings.data, { seed, count: 20 * batch }).train;
const description = await describeEncoder(spec);
const dimensions = await openEncoder(spec).then(async (opened) => {
  await opened.close();
  return opened.dimensions;
});
const opened = await openTunableEncoder(description, dimensions, { parameters: "all", layers: 1, rank: 1 }, random);
const recipe = { loss: "info-nce", learningRate: 1e-4, margin: 0.2, temperature: 0.1 } as const;
const options = {
  ...opened,
  metric: "cosine",
  scale: 1,
  objectives: [{ recipe, weight: 1, batchNegatives: "all" }],
  gradientClip: 1,
  weightDecay: 0.01,
  provider: "cpu",
  threads,
} as const;
const trainer = await EncoderTrainer.open(options);
const forward = await openSession(description.modelPath, { provider: "cpu", threads });

const timings = { padded: [] as Timing[], parts: [] as Timing[], step: [] as Timing[] };
let state = startingState(opened.encoder.trained.weights);
for (let step = -2; step < steps; step++) {
  const rows = sortedByLength(await drawBatch());
  const ends = trainer.cut(rows.inputs.map(lengthOf)).ends;
  const padded = await timed(() => forward.run(opened.inputs.feeds(rows.inputs)));
  const parts = await timed(async () => {
    for (const [k, end] of ends.entries()) {
      await forward.run(opened.inputs.feeds(rows.inputs.slice(ends[k - 1] ?? 0, end)));
    }
  });
  const stepped = await timed(async () => {
    ({ state } = await trainer.step(state, rows, 1e-4));
  });
  if (step < 0) continue;
  timings.padded.push(padded);
  timings.parts.push(parts);
  timings.step.push(stepped);
}
report.table(`milliseconds of a batch of ${batch} texts, ${spec} on ${trainer.provider}`, [
  row("forward pass, padded as one batch", timings.padded),
  row("forward pass, padded in parts as a step is", timings.parts),
  row("training step", timings.step),
]);
const nodes = wholeStepGraph(options, 3).model().graph?.node?.length ?? 0;
report.note(`a step of three parts is a graph of ${nodes} nodes`);
await forward.close();
await trainer.close();
report.save(args.json);

/** Random texts; each one's positive is another of its intent where there is one. */
async function drawBatch(): Promise<StepRows> {
  const chosen = Array.from({ length: batch }, () => texts[random.integer(texts.length)]);
  const isSame = (i: number, j: number) => chosen[i]?.intent === chosen[j]?.intent;
  const anchors = Int32Array.from(chosen, (_, i) => i);
  const positives = anchors.map((i) =>
    Math.max(
      i,
      anchors.findLastIndex((j) => isSame(i, j)),
    ),
  );
  const negatives = new Float32Array(batch * batch);
  for (const i of anchors) for (const j of anchors) negatives[i * batch + j] = isSame(i, j) ? 0 : 1;
  const inputs = await opened.inputs.prepare(chosen.map((each) => each?.text ?? ""));
  return { inputs, objectives: [{ anchors, positives, negatives }] };
}

async function timed(run: () => Promise<unknown>): Promise<Timing> {
  const [wall, before] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(before);
  return { wall: performance.now() - wall, processor: (user + system) / 1_000 };
}

/** Ratios are of medians, to the first row's and to the second's. */
function row(what: string, measured: readonly Timing[]): Row {
  const of = (name: keyof Timing, list: readonly Timing[]) => list.map((each) => each[name]).sort((a, b) => a - b);
  const median = (name: keyof Timing, list = measured) => percentile(of(name, list), 0.5);
  return {
    what,
    min: percentile(of("wall", measured), 0),
    median: median("wall"),
    "processor median": median("processor"),
    "to padded": median("processor") / median("processor", timings.padded),
    "to parts": median("processor") / median("processor", timings.parts),
  };
}
