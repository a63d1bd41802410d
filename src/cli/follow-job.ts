import type { Job } from "../client/index.js";
import type { Context } from "./context.js";
import { EXIT, type SetExitCode } from "./exit-codes.js";
import { onInterrupt } from "./stop-signal.js";
import type { ProgressState } from "./terminal/progress-line.js";
import { describePlan } from "./terminal/tune-report.js";

const PHASES: Record<NonNullable<Job["phase"]>, string> = {
  training: "training",
  evaluating: "judging",
  reEmbedding: "re-embedding",
  indexing: "indexing",
  catchingUp: "catching up",
};

/** A job's state as a line of progress. */
export function jobProgress(job: Job): ProgressState {
  const { done, total, unit, rate, etaMs } = job.progress;
  const label = job.phase === undefined ? job.status : PHASES[job.phase];
  return { label, count: done, total: total > 0 ? total : undefined, unit, rate, etaMs };
}

/**
 * Shows a job's progress until it ends and sets the exit code by how it ended. The first Ctrl-C asks the server to
 * cancel the job and goes on waiting for its end; the second leaves.
 */
export async function followJob(
  context: Context,
  collection: string,
  id: string,
  setExitCode: SetExitCode,
): Promise<Job> {
  const { client, progress } = context;
  const jobs = client.collection(collection);
  let interrupted = false;
  const undo = onInterrupt(() => {
    interrupted = true;
    progress.note(`asking the server to cancel job ${id} (Ctrl-C again leaves it running and quits)`);
    jobs.cancelFineTune(id).catch((error: Error) => progress.note(`not cancelled: ${error.message}`));
  });
  try {
    let last: Job | undefined;
    for await (const job of jobs.watchFineTune(id)) {
      if (job.plan !== undefined && last?.plan === undefined) progress.note(describePlan(job.plan));
      last = job;
      progress.update(jobProgress(job));
    }
    const ended = last ?? (await jobs.fineTune(id));
    progress.end(
      ended.reason === undefined ? `job ${id}: ${ended.status}` : `job ${id}: ${ended.status}: ${ended.reason}`,
    );
    setExitCode(exitCodeOf(ended, interrupted));
    return ended;
  } finally {
    undo();
  }
}

function exitCodeOf(job: Job, interrupted: boolean): number {
  if (job.status === "promoted" || job.status === "ready") return EXIT.ok;
  if (job.status === "rejected") return EXIT.rejected;
  return job.status === "cancelled" && interrupted ? EXIT.interrupted : EXIT.failure;
}
