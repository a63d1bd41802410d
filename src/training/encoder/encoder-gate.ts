import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { randomStream, STREAMS } from "../context.js";
import { type Decision, decide, type Looks } from "../gate/decision.js";
import { Judge, type Verdict, wholeCollection } from "../gate/judge.js";
import { untouchedItems } from "../gate/samples.js";
import { identityWeights } from "../head/head.js";
import { BaseRows } from "../rows/base-rows.js";
import { LiveRows, MemoryRows, RowFile } from "../rows/row-files.js";
import type { Embed } from "./encode-items.js";
import { encodeExtra, encodeRows } from "./encoded-rows.js";
import type { EncoderContext } from "./encoder-context.js";
import { type EncoderState, startingState } from "./encoder-state.js";
import type { EncoderTrainer } from "./encoder-trainer.js";
import type { HoldOut } from "./hold-out.js";
import { writeVectors } from "./write-vectors.js";

/** Every live item as the encoder has it that is judged: there may be too many to hold. */
const HELD_OUT_VECTORS = "held-out-vectors.f32";

/** The gate's decision, and what it was made by. */
export interface JudgedEncoder {
  decision: Decision;
  looks: Looks;
}

/**
 * Judges an encoder that was trained without the held-out part: every live item is encoded by it, and held-out anchors are ranked
 * among them all, as they are in the active generation.
 */
export async function judgeEncoder(
  context: EncoderContext,
  trainer: EncoderTrainer,
  tuned: EncoderState,
  { heldOut, judgedBy }: HoldOut,
): Promise<JudgedEncoder> {
  const { graph, options, task, meter, labels } = context;
  const request = {
    judgements: heldOut,
    untouched: untouchedItems(context),
    triplets: heldOutTriplets(context, heldOut),
  };
  meter.begin("evaluating", labels.length, "items");
  const before = await lookAtActive(context, trainer, request);
  const after = await lookAtState(context, trainer, tuned, request);
  const looks = { judgements: heldOut, before, after, rankedAmong: labels.length };
  return { decision: decide(looks, graph, { ...options, judgedBy, seed: task.seed }), looks };
}

type Request = Parameters<Judge["look"]>[2];

function heldOutTriplets({ graph }: EncoderContext, heldOut: HoldOut["heldOut"]) {
  const anchors = new Set(heldOut.map(({ anchor }) => anchor));
  return graph.triplets.filter(([anchor]) => anchors.has(anchor));
}

/** The active generation: its own vectors where its encoder is a tuned one, else base vectors through its head. */
async function lookAtActive(context: EncoderContext, trainer: EncoderTrainer, request: Request): Promise<Verdict> {
  const { task, encoderTask, engine, graph, labels, base, active, pause } = context;
  const { dimensions: d, metric, seed } = task;
  if (encoderTask.active === undefined) {
    const extra = await withViews(context, trainer, context.extra);
    const rows = new BaseRows(base.items, extra, d, metric, randomStream(seed, STREAMS.scale));
    return new Judge(engine, rows, graph, pause).look(active, wholeCollection(rows), request);
  }
  const file = new RowFile(encoderTask.active.vectors, d);
  try {
    const extra = await withViews(context, trainer, readExtra(context));
    const rows = new BaseRows(new LiveRows(file, labels), extra, d, metric, randomStream(seed, STREAMS.scale));
    return await new Judge(engine, rows, graph, pause).look(identityWeights(d), wholeCollection(rows), request);
  } finally {
    file.close();
  }
}

/** Extra rows, then the views that are judged, as the encoder has them before training. */
async function withViews(context: EncoderContext, trainer: EncoderTrainer, extra: Float32Array): Promise<MemoryRows> {
  const { contents, base, task } = context;
  const views = Array.from({ length: contents.count - base.total }, (_, i) => base.total + i);
  const start = startingState(context.encoder.trained.weights);
  const encoded = (await encodeRows(context, (inputs) => trainer.embed(start, inputs), views)).gather(views);
  const rows = new Float32Array(extra.length + encoded.length);
  rows.set(extra);
  rows.set(encoded, extra.length);
  return new MemoryRows(rows, task.dimensions);
}

/** What feedback refers to that is no item, as the active generation's own encoder has it. */
function readExtra({ task, encoderTask }: EncoderContext): Float32Array {
  const count = task.extraRows?.count ?? 0;
  const rows = new Float32Array(count * task.dimensions);
  const path = encoderTask.active?.extraVectors;
  if (count === 0) return rows;
  if (path === undefined) {
    throw new AttuneError(
      "fine_tune_failed",
      "The fine-tune's task gives the active vectors of items, but none of its extra rows",
    );
  }
  const file = new RowFile(path, task.dimensions);
  try {
    file.read(0, count, rows);
  } finally {
    file.close();
  }
  return rows;
}

async function lookAtState(
  context: EncoderContext,
  trainer: EncoderTrainer,
  state: EncoderState,
  request: Request,
): Promise<Verdict> {
  const { task, encoderTask, engine, graph, pause, labels } = context;
  const { dimensions: d, metric, seed } = task;
  const embed: Embed = (inputs) => trainer.embed(state, inputs);
  const extra = await encodeExtra(context, embed);
  const path = join(encoderTask.checkpoints, HELD_OUT_VECTORS);
  await mkdir(encoderTask.checkpoints, { recursive: true });
  await writeVectors(context, path, embed);
  const file = new RowFile(path, d);
  try {
    const rows = new BaseRows(new LiveRows(file, labels), extra, d, metric, randomStream(seed, STREAMS.scale));
    return await new Judge(engine, rows, graph, pause).look(identityWeights(d), wholeCollection(rows), request);
  } finally {
    file.close();
    await rm(path, { force: true });
  }
}
