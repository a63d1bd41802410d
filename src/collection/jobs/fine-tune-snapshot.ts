import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { FineTuneOptions } from "../../../schemas/index.js";
import { encoderFile, generationVectorsFile, headFile } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { ProviderChoice } from "../../runtime/index.js";
import type { EncoderTask, FineTuneTask } from "../../training/index.js";
import type { CollectionState, StoredGeneration, StoredJob } from "../collection-state.js";
import type { FeedbackStore } from "../feedback/feedback-store.js";
import type { OnDone } from "../generations/embedding-space.js";
import { type ExtraReference, Numbering, numberFeedback } from "./feedback-numbers.js";
import { type FineTuneSnapshot, IDS_FILE, writeSnapshot } from "./job-folder.js";
import { TaskContents } from "./task-contents.js";

export interface SnapshotSettings {
  options: FineTuneOptions;
  threads: number;
  provider: ProviderChoice;
  niceness: number;
}

/** Contents that are no items, read and encoded at once: few enough for the memory that images take. */
const BLOCK = 32;
/** A job that a power failure cut off is gone on with, so what its folder says it holds must be on the disk. */
const FLUSH = { flush: true };

/** Takes a snapshot of a collection into `folder`. `onFilled` tells how far base rows that lag behind have caught up. */
export async function takeSnapshot(
  folder: string,
  state: CollectionState,
  feedback: FeedbackStore,
  settings: SnapshotSettings,
  onFilled: OnDone,
): Promise<FineTuneSnapshot> {
  await mkdir(folder, { recursive: true });
  const path = (name: string) => join(folder, name);
  const active = await state.tables.generations.get(state.active.number);
  // Images that feedback or items let go of are there until they are linked.
  const done = state.content.keep();
  let contents: TaskContents | undefined;
  try {
    // Taken in one turn of the event loop, so that all of it belongs together.
    const { sequence, table } = state;
    const pieces = feedback.usable();
    let { labels } = table.snapshot();
    let ids = Array.from(labels, (label) => table.idOf(label) ?? "");
    await state.base.fill(sequence, onFilled);

    const tunesEncoder = settings.options.scope === "encoder";
    if (tunesEncoder) {
      contents = await TaskContents.create(path("contents.jsonl"), path("images"), state);
      const there = await contents.writeItems(ids, labels);
      // What was deleted or replaced meanwhile is caught up with in the end, like all that is written from now on.
      ids = ids.filter((_, i) => there[i]);
      labels = labels.filter((_, i) => there[i]);
    }
    const numbering = new Numbering(ids);
    const numbered = numberFeedback(pieces, (reference) => numbering.of(reference));
    const { extra } = numbering;
    await contents?.writeExtra(extra);
    await contents?.sync();

    await writeFile(path("labels.u32"), labels, FLUSH);
    await writeFile(path("feedback.json"), JSON.stringify(numbered), FLUSH);
    await writeFile(path("extra.f32"), await embedExtra(extra, state.base.embedder, state), FLUSH);
    await writeFile(path(IDS_FILE), JSON.stringify(ids), FLUSH);
    const encoder = tunesEncoder ? await encoderTask(folder, extra, active, state, settings) : undefined;
    const { dimensions, metric } = state.rules;
    const { seed = 0, dryRun = false, ...options } = settings.options;
    const task: FineTuneTask = {
      dimensions,
      metric,
      seed,
      threads: settings.threads,
      niceness: settings.niceness,
      provider: settings.provider,
      rows: state.base.rows.path,
      liveLabels: path("labels.u32"),
      ...(extra.length === 0 ? {} : { extraRows: { path: path("extra.f32"), count: extra.length } }),
      feedback: path("feedback.json"),
      ...(active?.scope === "head" ? { activeHead: headFile(state.directory, active.number) } : {}),
      options: dryRun ? { ...options, promote: "never" } : options,
      ...(encoder === undefined ? {} : { encoder }),
      output: { model: path("model.onnx"), vectors: path("vectors.f32") },
    };
    const taskFile = path("task.json");
    await writeFile(taskFile, JSON.stringify(task), FLUSH);
    const snapshot: FineTuneSnapshot = { taskFile, task, sequence, activeGeneration: state.active.number, extra };
    await writeSnapshot(folder, snapshot);
    return snapshot;
  } finally {
    done();
    await contents?.close();
  }
}

async function encoderTask(
  folder: string,
  extra: readonly ExtraReference[],
  active: StoredGeneration | undefined,
  state: CollectionState,
  { options }: SnapshotSettings,
): Promise<EncoderTask> {
  const model = await startingModel(options, active, state);
  const contents = join(folder, "contents.jsonl");
  if (active?.scope !== "encoder") return { model, contents, checkpoints: folder };
  const extraVectors = join(folder, "extra-active.f32");
  await writeFile(extraVectors, await embedExtra(extra, state.active.space.embedder, state), FLUSH);
  const vectors = generationVectorsFile(state.directory, active.number);
  return { model, contents, active: { vectors, extraVectors }, checkpoints: folder };
}

/** The encoder that training starts from. */
async function startingModel(
  { from }: FineTuneOptions,
  active: StoredGeneration | undefined,
  { encoder, directory }: CollectionState,
): Promise<EncoderTask["model"]> {
  if (encoder === undefined) throw new Error("a collection of vectors has no encoder to train");
  const tuned = from === "active" && active?.scope === "encoder" ? encoderFile(directory, active.number) : undefined;
  return encoder.describe(tuned);
}

/** What is no item was asked with, so it is embedded as a query. */
async function embedExtra(
  extra: readonly ExtraReference[],
  embedder: CollectionState["base"]["embedder"],
  { rules, content }: CollectionState,
): Promise<Float32Array> {
  const { dimensions } = rules;
  const rows = new Float32Array(extra.length * dimensions);
  for (let first = 0; first < extra.length; first += BLOCK) {
    const block = extra.slice(first, first + BLOCK);
    const inputs = await Promise.all(
      block.flatMap((reference) => {
        if ("vector" in reference) return [];
        return "text" in reference ? reference.text : content.read(reference.image);
      }),
    );
    const encoded = inputs.length === 0 ? new Float32Array() : await embedder.embed(inputs, "query");
    let row = 0;
    block.forEach((reference, i) => {
      const embedding =
        "vector" in reference
          ? new Float32Array(Uint8Array.from(Buffer.from(reference.vector, "base64")).buffer)
          : encoded.subarray(row * dimensions, ++row * dimensions);
      rows.set(embedding, (first + i) * dimensions);
    });
  }
  return rows;
}

/** Refuses a snapshot when what the training compares with or starts from has changed. @throws job_not_resumable */
export async function assertFresh(
  snapshot: FineTuneSnapshot,
  { id, options }: StoredJob,
  state: CollectionState,
): Promise<void> {
  const { number } = state.active;
  if (snapshot.activeGeneration !== number) {
    const began = `generation ${snapshot.activeGeneration} was active when it began`;
    throw notResumable(id, `${began}, and generation ${number} is now`);
  }
  const active = await state.tables.generations.get(number);
  const model = await startingModel(options, active, state);
  if (!isDeepStrictEqual(model, snapshot.task.encoder?.model)) {
    throw notResumable(id, "the encoder's files have changed");
  }
}

export function notResumable(id: string, why: string): AttuneError {
  return new AttuneError("job_not_resumable", `The job ${id} cannot be resumed: ${why}. Start a new fine-tune.`);
}
