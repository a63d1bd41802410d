import { rm } from "node:fs/promises";
import type { FineTuneOptions, Job, JobStatus } from "../../../schemas/index.js";
import { jobDirectory } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import { changeRecord, type StoredJob } from "../collection-state.js";
import { switchTo } from "../generations/generation-switch.js";
import { type FineTuneParts, runFineTuneJob } from "./fine-tune-job.js";
import { assertFresh, notResumable } from "./fine-tune-snapshot.js";
import { hasEnded, publicJob } from "./job-book.js";
import { isResumable, readSnapshot } from "./job-folder.js";
import { JobReport } from "./job-report.js";
import type { Slot } from "./slot.js";

const CANCELLED = "Cancelled on request.";

/** Ends of a fine-tune that ran its course. */
const DECIDED: ReadonlySet<JobStatus> = new Set(["promoted", "ready", "rejected"]);

/** Runs the jobs of one collection, one after the other; training takes the database's one slot, since it takes cores. */
export class JobRunner {
  private last: Promise<void> = Promise.resolve();
  private readonly controllers = new Map<number, AbortController>();
  /** Jobs being written down, which `last` does not know yet. */
  private readonly starting = new Set<Promise<unknown>>();
  private closed = false;

  constructor(
    private readonly parts: FineTuneParts,
    private readonly slot: Slot,
    /** Called after each fine-tune that came to an outcome. */
    private readonly onFineTuned: () => Promise<unknown>,
  ) {}

  /** Jobs that were cut off are given up for it. @throws job_running, shutting_down */
  async fineTune(options: FineTuneOptions): Promise<StoredJob> {
    this.assertNoFineTune();
    const given = this.parts.jobs.resumable();
    const job = await this.enqueue("fine-tune", options);
    for (const each of given) await this.giveUp(each, { reason: `Given up for job ${job.id}.` });
    return job;
  }

  /** Puts a job that was cut off back to work. @throws fine_tune_not_found, job_not_resumable, job_running, shutting_down */
  async resume(id: string): Promise<StoredJob> {
    const { jobs, state } = this.parts;
    const snapshot = await readSnapshot(jobDirectory(state.directory, jobs.get(id).number));
    if (snapshot !== undefined && jobs.get(id).resumable === true) await assertFresh(snapshot, jobs.get(id), state);
    // As it is now: it may have been given up while that was looked at.
    const job = jobs.get(id);
    if (snapshot === undefined || job.resumable !== true) {
      const how = hasEnded(job) ? `it ended as ${job.status}` : `it is ${job.status}`;
      throw notResumable(id, `${how}, and nothing of it is kept`);
    }
    this.assertOpen();
    this.assertNoFineTune();
    const queued = { status: "queued" as const, resumable: false, resumed: (job.resumed ?? 0) + 1 };
    // Seen at once, so that no second one begins beside it.
    jobs.show(job.number, queued);
    return this.start(job.number, () => jobs.change(job.number, queued));
  }

  /** @throws shutting_down */
  async activation(generation: number): Promise<StoredJob> {
    return this.enqueue("activation", {}, generation);
  }

  /** Asks a job to stop; a queued one ends at once. @throws fine_tune_not_found, job_finished */
  async cancel(id: string): Promise<Job> {
    const job = this.parts.jobs.get(id);
    if (job.resumable === true) {
      await this.giveUp(job, { status: "cancelled", reason: CANCELLED });
      return publicJob(this.parts.jobs.get(id));
    }
    const controller = this.controllers.get(job.number);
    if (controller === undefined || hasEnded(job)) {
      throw new AttuneError("job_finished", `The job ${id} has ended (${job.status}) and cannot be cancelled.`);
    }
    controller.abort(new Cancelled("cancelled"));
    if (job.status === "queued") {
      this.controllers.delete(job.number);
      await this.parts.jobs.change(job.number, { status: "cancelled", reason: CANCELLED });
    }
    return publicJob(this.parts.jobs.get(id));
  }

  /** Stops what runs and waits for it; jobs under way end as `interrupted`. */
  async close(): Promise<void> {
    this.closed = true;
    for (const controller of this.controllers.values()) controller.abort(new Cancelled("interrupted"));
    await Promise.allSettled(this.starting);
    await this.last;
  }

  private async enqueue(kind: Job["kind"], options: FineTuneOptions, generation?: number): Promise<StoredJob> {
    this.assertOpen();
    const { state, jobs } = this.parts;
    const number = state.record.nextJob;
    // Taken before anything is awaited, so that two requests never share a number.
    const taken = changeRecord(state, { nextJob: number + 1 });
    return this.start(number, () =>
      jobs.create(number, { kind, options, ...(generation === undefined ? {} : { generation }) }, taken),
    );
  }

  /** Writes a job down as queued, and runs it in its turn. */
  private start(number: number, write: () => Promise<unknown>): Promise<StoredJob> {
    const controller = new AbortController();
    this.controllers.set(number, controller);
    const started = write().then(() => {
      const job = this.parts.jobs.get(String(number));
      this.last = this.last.then(() => this.run(job, controller.signal));
      return job;
    });
    this.starting.add(started);
    return started.finally(() => this.starting.delete(started));
  }

  /** @throws job_running */
  private assertNoFineTune(): void {
    const running = this.parts.jobs.open().find(({ kind }) => kind === "fine-tune");
    if (running === undefined) return;
    throw new AttuneError(
      "job_running",
      `The fine-tune ${running.id} is ${running.status}; wait for it to end, or cancel it, before starting another.`,
    );
  }

  private assertOpen(): void {
    if (this.closed) throw new AttuneError("shutting_down", "The collection is being closed; no job begins any more.");
  }

  /** A job that was cut off is not gone on with. Seen at once, so that nobody resumes it meanwhile. */
  private async giveUp({ number }: StoredJob, change: Partial<StoredJob>): Promise<void> {
    const given = { ...change, resumable: false };
    this.parts.jobs.show(number, given);
    await this.parts.jobs.change(number, given);
    await this.removeFolder(number);
  }

  private removeFolder(number: number): Promise<void> {
    return rm(jobDirectory(this.parts.state.directory, number), { recursive: true, force: true });
  }

  private async run(job: StoredJob, signal: AbortSignal): Promise<void> {
    const { jobs, state } = this.parts;
    let release = () => {};
    const report = new JobReport(jobs, job);
    try {
      // Given up when the job is: another collection's training in the slot may go on for long.
      release = await this.slot.take(signal);
      signal.throwIfAborted();
      await jobs.change(job.number, { status: "running" });
      if (job.kind === "fine-tune") await runFineTuneJob(job, this.parts, report, signal);
      else await this.activate(job, report, signal);
    } catch (error) {
      await this.fail(job, error, report).catch((failure: unknown) => {
        state.log.error(`The end of job ${job.id} could not be recorded: ${String(failure)}`);
        // On disk the job is under way, and a restart marks it interrupted; who watches it now must not wait for ever.
        jobs.show(job.number, { status: "failed", reason: `Unexpected: ${String(error)}` });
      });
    } finally {
      if (jobs.get(job.id).resumable !== true) await this.removeFolder(job.number).catch(() => {});
      release();
      this.controllers.delete(job.number);
    }
    if (job.kind === "fine-tune" && DECIDED.has(jobs.get(job.id).status)) await this.onFineTuned().catch(() => {});
  }

  private async activate(job: StoredJob, report: JobReport, signal: AbortSignal): Promise<void> {
    const number = job.generation ?? -1;
    // Where its index died, activating a generation again opens it anew.
    if (number === this.parts.state.active.number && (await this.parts.state.active.alive())) {
      await this.parts.jobs.change(job.number, { status: "promoted", timings: report.done() });
      return;
    }
    const { state, writer } = this.parts;
    try {
      // Generations are collected between two writes too, so this one is held in time or seen to be gone.
      const stored = await writer.exclusive(() => {
        state.held.add(number);
        return state.tables.generations.get(number);
      });
      if (stored === undefined) {
        throw new AttuneError(
          "generation_not_found",
          `Generation ${number} was collected before it could be activated.`,
        );
      }
      await switchTo(stored, job, this.parts, report, signal);
    } finally {
      state.held.delete(number);
    }
  }

  private async fail(job: StoredJob, error: unknown, report: JobReport): Promise<void> {
    const { jobs, state } = this.parts;
    if (state.record.activeGeneration === jobs.get(job.id).generation && jobs.get(job.id).status === "promoted") {
      state.log.warn(`After job ${job.id} went live: ${String(error)}`);
      return;
    }
    // Cancelled while it was queued, which is recorded.
    if (hasEnded(jobs.get(job.id))) return;
    const timings = report.done();
    const stopped = error instanceof Cancelled && error.status === "interrupted";
    const resumable = stopped && (await isResumable(job, state.directory));
    if (!resumable) await this.removeFolder(job.number);
    if (error instanceof Cancelled) {
      const reason = stopped ? "The server was stopped while the job was under way." : CANCELLED;
      await jobs.change(job.number, { status: error.status, reason, resumable, timings });
      return;
    }
    const reason = error instanceof AttuneError ? error.message : `Unexpected: ${String(error)}`;
    state.log.error(`Job ${job.id} failed: ${error instanceof Error ? (error.stack ?? reason) : reason}`);
    await jobs.change(job.number, { status: "failed", reason, timings });
  }
}

/** The reason of an abort: what the job's status becomes. */
class Cancelled extends Error {
  constructor(readonly status: "cancelled" | "interrupted") {
    super(status);
  }
}
