import { readFile } from "node:fs/promises";
import { randomStream, STREAMS } from "../context.js";
import { Judge, type Verdict } from "../gate/judge.js";
import type { Judgement } from "../gate/judgement.js";
import { judgingField } from "../gate/samples.js";
import { BaseRows } from "../rows/base-rows.js";
import { LiveRows, MemoryRows, RowFile } from "../rows/row-files.js";
import { identityWeights } from "./head.js";
import type { HeadContext } from "./head-context.js";
import { reEmbed } from "./re-embed.js";

/** What writing and checking vectors needs of the fine-tune. */
export interface WritingContext
  extends Pick<HeadContext, "task" | "provider" | "rowFile" | "labels" | "extra" | "engine" | "graph" | "pause"> {
  /** Told of each row. */
  meter: { advance(rows: number): void };
}

/** Writes the vectors of items `from` to `to` (exclusive), by the head that was written, into the file that is there for them. */
export async function writeVectors(context: WritingContext, from: number, to: number): Promise<void> {
  const { task, meter, labels, rowFile, provider, pause } = context;
  await reEmbed({
    head: await readFile(task.output.model),
    dimensions: task.dimensions,
    rows: rowFile,
    labels: labels.subarray(from, to),
    path: task.output.vectors,
    provider,
    threads: task.threads,
    onBlock: async (rows) => {
      meter.advance(rows);
      await pause();
    },
  });
}

/**
 * Looks at some anchors among the vectors that were written, read back from the file.
 * @param weights d x d, of the head that wrote them: extra rows are in no file
 */
export async function lookAtVectors(
  context: WritingContext,
  weights: Float32Array,
  judgements: readonly Judgement[],
): Promise<Verdict> {
  const { task, labels, engine, graph, pause } = context;
  const { dimensions, metric, seed } = task;
  const file = new RowFile(task.output.vectors, dimensions);
  try {
    const extra = new MemoryRows(await engine.embed(context.extra, weights), dimensions);
    const live = new LiveRows(file, labels);
    const vectors = new BaseRows(live, extra, dimensions, metric, randomStream(seed, STREAMS.scale));
    const judge = new Judge(engine, vectors, graph, pause);
    return await judge.look(identityWeights(dimensions), judgingField(vectors, seed), { judgements });
  } finally {
    file.close();
  }
}
