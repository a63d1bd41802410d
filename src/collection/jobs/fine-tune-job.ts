import { mkdir, rename, rm } from "node:fs/promises";
import {
  generationDirectory,
  generationVectorsFile,
  headFile,
  jobDirectory,
  syncDirectory,
} from "../../../storage/index.js";
import { type FineTuneResult, spawnFineTune } from "../../training/index.js";
import { changeRecord, type StoredGeneration, type StoredJob } from "../collection-state.js";
import type { FeedbackStore } from "../feedback/feedback-store.js";
import { collectGenerations, type SwitchParts, switchTo } from "../generations/generation-switch.js";
import { type FineTuneFiles, writeFineTuneFiles } from "./fine-tune-files.js";
import type { JobReport } from "./job-report.js";

export interface FineTuneParts extends SwitchParts {
  feedback: FeedbackStore;
  /** Threads of the training process. */
  trainingThreads: number;
}

/**
 * A fine-tune from its snapshot of the feedback to the switch. Training, the gate and re-embedding happen in a child process;
 * what it wrote becomes a generation only when the gate passed (or `promote` says otherwise).
 */
export async function runFineTuneJob(
  job: StoredJob,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state, jobs } = parts;
  const folder = jobDirectory(state.directory, job.number);
  try {
    report.progress("training", { done: 0, total: 0, unit: "steps" });
    const files = await prepare(folder, job, parts);
    const result = await spawnFineTune(files.taskFile, {
      signal,
      onProgress: ({ phase, ...progress }) => report.progress(phase, progress),
    });
    const { trainingMs, evaluatingMs, reEmbeddingMs } = result.timings;
    report.measured({ trainingMs, evaluatingMs, reEmbeddingMs });
    await jobs.change(job.number, outcomeOf(result));
    const keep = result.outcome === "passed" || job.options.promote === "always";
    if (!keep || !result.written) {
      const reason = result.reason ?? "The gate found no improvement on held-out feedback.";
      await jobs.change(job.number, { status: "rejected", reason, timings: report.done() });
      return;
    }
    signal.throwIfAborted();
    await adopt(files, job, result, parts, report, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare(folder: string, job: StoredJob, parts: FineTuneParts): Promise<FineTuneFiles> {
  const { state, feedback } = parts;
  await rm(folder, { recursive: true, force: true });
  await feedback.jobBegins((operations) => state.storage.write(operations));
  const active = await state.tables.generations.get(state.active.number);
  return writeFineTuneFiles(folder, feedback.usable(), state, {
    options: job.options,
    threads: parts.trainingThreads,
    niceness: parts.niceness,
    activeHead: active?.scope === "head" ? headFile(state.directory, active.number) : undefined,
  });
}

/** Turns the files of the child into a generation: `ready` when it is only to be kept, else live. */
async function adopt(
  files: FineTuneFiles,
  job: StoredJob,
  result: FineTuneResult,
  parts: FineTuneParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state, jobs } = parts;
  const number = state.record.nextGeneration;
  await state.storage.write([changeRecord(state, { nextGeneration: number + 1 })]);
  const stored: StoredGeneration = {
    number,
    createdAt: new Date().toISOString(),
    fineTune: job.id,
    scope: "head",
    loss: job.options.loss ?? "triplet",
    metrics: outcomeOf(result).metrics,
    rowsSequence: files.sequence,
    items: state.table.count,
  };
  const keepOnly = job.options.promote === "never";
  try {
    await moveFiles(files, state.directory, number);
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

/** What a job shows of the result of its training. */
function outcomeOf({ metrics, lossCurve }: FineTuneResult): Pick<StoredJob, "metrics" | "lossCurve"> {
  const { before, after, improvement, drift, anchors, groups, contradictions, judgedBy } = metrics;
  return {
    metrics: {
      before: { ...before },
      after: { ...after },
      improvement,
      drift,
      anchors,
      groups,
      contradictions,
      judgedBy,
    },
    lossCurve,
  };
}

async function moveFiles(files: FineTuneFiles, directory: string, number: number): Promise<void> {
  const target = generationDirectory(directory, number);
  await mkdir(target, { recursive: true });
  await rename(files.model, headFile(directory, number));
  await rename(files.vectors, generationVectorsFile(directory, number));
  await syncDirectory(target);
}
