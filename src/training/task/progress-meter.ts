import type { FineTunePhase, FineTuneProgress } from "./fine-tune-task.js";

const REPORT_EVERY_MS = 100;

/** Turns counts into progress reports with rate and time left, at most ten a second. */
export class ProgressMeter {
  readonly #report: (progress: FineTuneProgress) => void;
  #phase: FineTunePhase = "training";
  #unit: FineTuneProgress["unit"] = "steps";
  #total = 0;
  #done = 0;
  #startedAt = 0;
  #reportedAt = 0;

  constructor(report: (progress: FineTuneProgress) => void) {
    this.#report = report;
  }

  /** Begins a phase of `total` units and reports it at once. */
  begin(phase: FineTunePhase, total: number, unit: FineTuneProgress["unit"]): void {
    this.#phase = phase;
    this.#unit = unit;
    this.#total = total;
    this.#done = 0;
    this.#startedAt = performance.now();
    this.#send(this.#startedAt);
  }

  /** Counts `units` more as done; reports now and then, and always at the end. */
  advance(units: number): void {
    this.#done += units;
    const now = performance.now();
    if (now - this.#reportedAt >= REPORT_EVERY_MS || this.#done >= this.#total) this.#send(now);
  }

  /** Takes units off the total that turned out not to be needed. */
  drop(units: number): void {
    this.#total = Math.max(this.#done, this.#total - units);
  }

  #send(now: number): void {
    this.#reportedAt = now;
    const elapsed = now - this.#startedAt;
    const progress: FineTuneProgress = { phase: this.#phase, done: this.#done, total: this.#total, unit: this.#unit };
    if (this.#done > 0 && elapsed > 0) {
      progress.rate = (this.#done / elapsed) * 1000;
      progress.etaMs = Math.round(((this.#total - this.#done) / this.#done) * elapsed);
    }
    this.#report(progress);
  }
}
