import type { JobPhase, Progress } from "../../../schemas/index.js";
import type { StoredJob } from "../collection-state.js";
import type { JobBook } from "./job-book.js";

/** At most this many progress reports a second reach the watchers. */
const REPORT_INTERVAL_MS = 100;

/** Tells how far a job is: phase, share done, rate, time left; and adds up the time of each phase. */
export class JobReport {
  private phase: JobPhase | undefined;
  private phaseStart = 0;
  private reported = 0;
  /** Where the count that is under way began: a phase may count more than once. */
  private count = { since: 0, total: 0, done: 0 };
  private readonly timings: Record<string, number> = {};
  private readonly started = performance.now();

  constructor(
    private readonly jobs: JobBook,
    private readonly job: StoredJob,
  ) {}

  progress(phase: JobPhase, progress: Progress): void {
    const now = performance.now();
    const entered = this.enter(phase, now);
    if (!entered && progress.done < progress.total && now - this.reported < REPORT_INTERVAL_MS) return;
    this.reported = now;
    this.jobs.show(this.job.number, { phase, progress: this.withRate(progress, now) });
  }

  /** Milliseconds of each phase, and of the whole. */
  done(): Record<string, number> {
    this.enter(undefined, performance.now());
    return { ...this.timings, totalMs: Math.round(performance.now() - this.started) };
  }

  /** Notes a time that goes across phases. */
  note(name: string, milliseconds: number): void {
    this.timings[name] = Math.round(milliseconds);
  }

  /** Times that the work measured itself take the place of what was seen from here. */
  measured(timings: Record<string, number>): void {
    for (const [name, milliseconds] of Object.entries(timings)) this.timings[name] = Math.round(milliseconds);
    this.phase = undefined;
  }

  private enter(phase: JobPhase | undefined, now: number): boolean {
    if (phase === this.phase) return false;
    if (this.phase !== undefined) {
      const name = `${this.phase}Ms`;
      this.timings[name] = Math.round((this.timings[name] ?? 0) + now - this.phaseStart);
    }
    this.phase = phase;
    this.phaseStart = now;
    this.count = { since: now, total: 0, done: 0 };
    return true;
  }

  private withRate(progress: Progress, now: number): Progress {
    const { done, total } = progress;
    if (total !== this.count.total || done < this.count.done) this.count.since = now;
    this.count = { ...this.count, total, done };
    const seconds = (now - this.count.since) / 1000;
    if (progress.rate !== undefined || progress.done === 0 || seconds < 0.2) return progress;
    const rate = progress.done / seconds;
    return { ...progress, rate, etaMs: Math.round(((progress.total - progress.done) / rate) * 1000) };
  }
}
