import { readFile, writeFile } from "node:fs/promises";
import { AttuneError } from "../../errors/index.js";
import { decodeModel, encodeModel, withInitializers } from "../../onnx/index.js";
import { openSession } from "../../runtime/index.js";
import { randomStream, STREAMS } from "../context.js";
import { floats } from "../engines/engine.js";
import { Judge, wholeCollection } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import { identityWeights } from "../head/head.js";
import { BaseRows } from "../rows/base-rows.js";
import { LiveRows, RowFile } from "../rows/row-files.js";
import type { Embed } from "./encode-items.js";
import { encodeExtra } from "./encoded-rows.js";
import type { EncoderContext } from "./encoder-context.js";
import type { TunableEncoder } from "./encoder-graph.js";
import { embedGraph } from "./step-graph.js";
import { writeVectors } from "./write-vectors.js";

/** Nothing of an encoder in training. */
const NOTHING: TunableEncoder["trained"] = { weights: [], initializers: () => new Map(), merge: () => new Map() };

/** Writes the tuned encoder, an ordinary ONNX file of the same inputs and outputs, then every live item as that file encodes it. */
export async function writeTunedEncoder(context: EncoderContext, weights: readonly Float32Array[]): Promise<void> {
  const { encoder, task, labels, meter } = context;
  const { trained, model } = encoder;
  const byName = new Map(trained.weights.map(({ name, start }, i) => [name, weights[i] ?? start]));
  await writeFile(task.output.model, encodeModel(withInitializers(model, trained.merge(byName))), { flush: true });
  meter.begin("reEmbedding", labels.length, "items");
  await withWrittenEncoder(context, (embed) => writeVectors(context, task.output.vectors, embed));
}

/** Reads the vectors back, and gives the ranks of the judged anchors' targets among them. */
export async function checkWritten(context: EncoderContext, judgements: readonly Judgement[]): Promise<number[][]> {
  const { task, labels, engine, graph, pause } = context;
  const { dimensions: d, metric, seed, output } = task;
  const extra = await withWrittenEncoder(context, (embed) => encodeExtra(context, embed));
  const file = new RowFile(output.vectors, d);
  try {
    const rows = new BaseRows(new LiveRows(file, labels), extra, d, metric, randomStream(seed, STREAMS.scale));
    const judge = new Judge(engine, rows, graph, pause);
    return (await judge.look(identityWeights(d), wholeCollection(rows), { judgements })).ranks;
  } finally {
    file.close();
  }
}

/**
 * Opens the file that was written, to encode by it.
 * @throws fine_tune_failed when a number of an embedding is not finite
 */
async function withWrittenEncoder<Result>(
  { encoder, task, inputs, provider }: EncoderContext,
  use: (embed: Embed) => Promise<Result>,
): Promise<Result> {
  const model = decodeModel(await readFile(task.output.model));
  const graph = embedGraph({ ...encoder, model, trained: NOTHING });
  const session = await openSession(encodeModel(graph.model()), { provider, threads: task.threads, planMemory: false });
  try {
    return await use(async (run) => {
      const feeds = Object.entries(inputs.feeds(run)).map(([name, fed]) => [`part_0/${name}`, fed]);
      const vectors = floats(await session.run(Object.fromEntries(feeds)), "embeddings");
      if (vectors.every(Number.isFinite)) return vectors;
      throw new AttuneError(
        "fine_tune_failed",
        "The tuned encoder gives vectors that are not finite; try a smaller learningRate",
      );
    });
  } finally {
    await session.close();
  }
}
