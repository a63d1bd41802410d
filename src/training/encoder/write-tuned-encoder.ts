import { closeSync, fsyncSync, ftruncateSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { AttuneError } from "../../errors/index.js";
import { decodeModel, encodeModel, withInitializers } from "../../onnx/index.js";
import { openSession } from "../../runtime/index.js";
import { randomStream, STREAMS } from "../context.js";
import { floats } from "../engines/engine.js";
import { Judge, wholeCollection } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import { identityWeights } from "../head/head.js";
import { writeRows } from "../head/re-embed.js";
import { BaseRows } from "../rows/base-rows.js";
import { LiveRows, MemoryRows, RowFile } from "../rows/row-files.js";
import { encodeItems } from "./encode-items.js";
import type { EncoderContext } from "./encoder-context.js";
import type { TunableEncoder } from "./encoder-graph.js";
import { embedGraph } from "./step-graph.js";

/** Nothing of an encoder in training. */
const NOTHING: TunableEncoder["trained"] = { weights: [], initializers: () => new Map(), merge: () => new Map() };

/** Writes the tuned encoder, an ordinary ONNX file of the same inputs and outputs, then every live item as that file encodes it. */
export async function writeTunedEncoder(context: EncoderContext, weights: readonly Float32Array[]): Promise<void> {
  const { encoder, task, labels, meter } = context;
  const { trained, model } = encoder;
  const byName = new Map(trained.weights.map(({ name, start }, i) => [name, weights[i] ?? start]));
  await writeFile(task.output.model, encodeModel(withInitializers(model, trained.merge(byName))), { flush: true });
  meter.begin("reEmbedding", labels.length, "items");
  const descriptor = openSync(task.output.vectors, "w");
  try {
    const largest = labels.reduce((most, label) => Math.max(most, label), -1);
    ftruncateSync(descriptor, (largest + 1) * task.dimensions * 4);
    const items = Array.from(labels, (_, item) => item);
    await encodeByFile(context, items, (start, count, vectors) => {
      writeRows(descriptor, labels.subarray(start, start + count), vectors, task.dimensions);
    });
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads the vectors back, and gives the ranks of the judged anchors' targets among them.
 * @throws fine_tune_failed when a number of any row is not finite
 */
export async function checkWritten(context: EncoderContext, judgements: readonly Judgement[]): Promise<number[][]> {
  const { task, labels, engine, graph, contents, base, pause } = context;
  const { dimensions: d, metric, seed, output } = task;
  const others = Array.from({ length: contents.count - base.count }, (_, i) => base.count + i);
  const extra = new Float32Array(others.length * d);
  await encodeByFile(context, others, (start, _count, vectors) => extra.set(vectors, start * d));
  const file = new RowFile(output.vectors, d);
  try {
    const live = new LiveRows(file, labels);
    const rows = new BaseRows(live, new MemoryRows(extra, d), d, metric, randomStream(seed, STREAMS.scale));
    const look = await new Judge(engine, rows, graph, pause).look(identityWeights(d), wholeCollection(rows), {
      judgements,
    });
    return look.ranks;
  } finally {
    file.close();
  }
}

/** Encodes items by the file that was written. */
async function encodeByFile(
  { encoder, task, contents, inputs, provider, meter, pause }: EncoderContext,
  items: readonly number[],
  visit: Parameters<typeof encodeItems>[1],
): Promise<void> {
  if (items.length === 0) return;
  const model = decodeModel(await readFile(task.output.model));
  const session = await openSession(encodeModel(embedGraph({ ...encoder, model, trained: NOTHING }).model()), {
    provider,
    threads: task.threads,
  });
  try {
    const request = {
      contents,
      items,
      dimensions: task.dimensions,
      equalLengths: inputs.equalLengths,
      embed: async (run: Parameters<typeof inputs.feeds>[0]) => {
        const feeds = Object.entries(inputs.feeds(run)).map(([name, fed]) => [`part_0/${name}`, fed]);
        const vectors = floats(await session.run(Object.fromEntries(feeds)), "embeddings");
        if (vectors.every(Number.isFinite)) return vectors;
        throw new AttuneError(
          "fine_tune_failed",
          "The tuned encoder gives vectors that are not finite; try a smaller learningRate",
        );
      },
      onRun: async (count: number) => {
        meter.advance(count);
        await pause();
      },
    };
    await encodeItems(request, visit);
  } finally {
    await session.close();
  }
}
