import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import {
  ensureDirectory,
  generationDirectory,
  generationVectorsFile,
  jobDirectory,
  linkFile,
  syncDirectory,
} from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { ProviderChoice } from "../../runtime/index.js";
import { type FineTuneResult, type FineTuneTask, spawnFineTune } from "../../training/index.js";
import { type CollectionState, changeRecord, type StoredGeneration, type StoredJob } from "../collection-state.js";
import type { FeedbackStore } from "../feedback/feedback-store.js";
import { EarlyRecall } from "../generations/early-recall.js";
import { modelFile } from "../generations/generation-files.js";
import { collectGenerations, type SwitchParts, switchTo } from "../generations/generation-switch.js";
import { isWorthKeeping } from "../generations/prepare-index.js";
import { assertFresh, takeSnapshot } from "./fine-tune-snapshot.js";
import { type FineTuneSnapshot, readResult, readSnapshot, writeResult } from "./job-folder.js";
import type { JobReport } from "./job-report.js";
import { reportOf } from "./training-report.js";

export interface FineTuneParts extends SwitchParts {
  feedback: FeedbackStore;
  /** Threads of the training process. */
  trainingThreads: number;
  /** Execution provider of the training process. */
  trainingProvider: ProviderChoice;
}

/**
 * A fine-tune from its snapshot of the feedback to the switch. Training, the gate and re-embedding happen in a child process;
 * what it wrote becomes a generation only when the gate passed (or `promote` says otherwise). What the job's folder holds already is
 * not done again: a job that was cut off goes on.
 * @throws job_not_resumable when what it began with is not there any more
 */
export async function runFineTuneJob(
  job: StoredJob,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state } = parts;
  const folder = jobDirectory(state.directory, job.number);
  report.progress("training", { done: 0, total: 0, unit: "steps" });
  const kept = await readSnapshot(folder);
  // An activation may have come first.
  if (kept !== undefined) await assertFresh(kept, job, state);
  const snapshot = kept ?? (await prepare(folder, job, parts, report, signal));
  const early = beginEarly(job, parts, signal);
  try {
    const result = (await readResult(folder)) ?? (await train(folder, snapshot, job, parts, report, signal));
    const { trainingMs, evaluatingMs, reEmbeddingMs } = result.timings;
    report.measured({ trainingMs, evaluatingMs, reEmbeddingMs });
    await conclude(result, snapshot, job, { ...parts, ...(early === undefined ? {} : { early }) }, report, signal);
  } finally {
    await early?.stop();
  }
}

/** For a head, whose training takes seconds; an encoder's takes so long that what was measured would be old. */
function beginEarly({ options }: StoredJob, { state, niceness }: FineTuneParts, signal: AbortSignal) {
  const { scope = "head", promote, dryRun = false } = options;
  const goesLive = scope === "head" && promote !== "never" && !dryRun && isWorthKeeping(state);
  return goesLive ? EarlyRecall.begin(state, { threads: 1, niceness, signal }) : undefined;
}

async function conclude(
  result: FineTuneResult,
  snapshot: FineTuneSnapshot,
  job: StoredJob,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state, jobs } = parts;
  const shown = await reportOf(result, snapshot, jobDirectory(state.directory, job.number), state.record.name);
  await jobs.change(job.number, shown);
  const { promote, dryRun = false } = job.options;
  if (!dryRun && (result.outcome === "passed" || promote === "always") && result.written) {
    signal.throwIfAborted();
    const adopted = { ...shown, loss: result.recipe.loss, sequence: snapshot.sequence };
    await adopt(snapshot.task, adopted, job, parts, report, signal);
  } else if (dryRun && result.outcome === "passed") {
    await jobs.change(job.number, { status: "ready", timings: report.done() });
  } else {
    const reason = result.reason ?? "The gate found no improvement on held-out feedback.";
    await jobs.change(job.number, { status: "rejected", reason, timings: report.done() });
  }
}

/** @throws no_encoder, invalid_setting */
export function assertTrainable(scope: "head" | "encoder", { active, base, encoder, record }: CollectionState): void {
  if (scope === "encoder" && encoder === undefined) {
    throw new AttuneError(
      "no_encoder",
      `The collection ${record.name} holds vectors and has no encoder to train; leave scope out to train a head.`,
    );
  }
  if (scope === "head" && active.space !== base) {
    throw new AttuneError(
      "invalid_setting",
      `Generation ${active.number}, the active one, has a tuned encoder; a head is trained over the untuned one and could not be compared with it. Ask for scope "encoder" (with from "active" it goes on from there), or activate a generation without a tuned encoder first.`,
    );
  }
}

async function prepare(
  folder: string,
  job: StoredJob,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<FineTuneSnapshot> {
  const { state, feedback, trainingThreads: threads, trainingProvider: provider, niceness } = parts;
  // Another generation may have become active since the job was asked for.
  assertTrainable(job.options.scope ?? "head", state);
  await rm(folder, { recursive: true, force: true });
  await feedback.jobBegins((operations) => state.storage.write(operations));
  return takeSnapshot(folder, state, feedback, { options: job.options, threads, provider, niceness }, (done, total) => {
    signal.throwIfAborted();
    report.progress("catchingUp", { done, total, unit: "items" });
  });
}

async function train(
  folder: string,
  { taskFile }: FineTuneSnapshot,
  job: StoredJob,
  { jobs, state }: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<FineTuneResult> {
  const result = await spawnFineTune(taskFile, {
    signal,
    onProgress: ({ phase, ...progress }) => report.progress(phase, progress),
    onPlan: (plan) => {
      jobs.change(job.number, { plan }).catch((error) => state.log.warn(`The plan of job ${job.id}: ${String(error)}`));
    },
  });
  await writeResult(folder, result);
  return result;
}

type Adopted = Pick<StoredGeneration, "metrics" | "loss"> & { sequence: number };

/** Turns the files of the child into a generation: `ready` when it is only to be kept, else live. */
async function adopt(
  task: FineTuneTask,
  { metrics, loss, sequence }: Adopted,
  job: StoredJob,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state, jobs } = parts;
  const number = state.record.nextGeneration;
  await state.storage.write([changeRecord(state, { nextGeneration: number + 1 })]);
  const scope = job.options.scope ?? "head";
  const keepOnly = job.options.promote === "never";
  try {
    await linkFiles(task, scope, state.directory, number);
    const stored: StoredGeneration = {
      number,
      createdAt: new Date().toISOString(),
      fineTune: job.id,
      scope,
      ...(loss === undefined ? {} : { loss }),
      ...(metrics === undefined ? {} : { metrics }),
      checksum: await checksumOf(modelFile(scope, state.directory, number)),
      rowsSequence: sequence,
      items: state.table.count,
    };
    if (!keepOnly) return await switchTo(stored, job, parts, report, signal);
    const end = { status: "ready" as const, generation: number, timings: report.done() };
    await state.storage.write([state.tables.generations.put(number, stored), jobs.operation(job.number, end)]);
    jobs.show(job.number, end);
  } catch (error) {
    // Once a record names it its files must stay, whatever went wrong afterwards.
    if ((await state.tables.generations.get(number)) === undefined) {
      await rm(generationDirectory(state.directory, number), { recursive: true, force: true });
    }
    throw error;
  }
  await collectGenerations(parts);
}

/** Linked, not moved: a job that is cut off before the switch finds what it trained in its folder. */
async function linkFiles(
  task: FineTuneTask,
  scope: "head" | "encoder",
  directory: string,
  number: number,
): Promise<void> {
  const target = generationDirectory(directory, number);
  await ensureDirectory(target);
  await linkFile(task.output.model, modelFile(scope, directory, number));
  await linkFile(task.output.vectors, generationVectorsFile(directory, number));
  await syncDirectory(target);
}

async function checksumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}
