import type { FineTuneOptions, Job } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { assertEnoughFeedback, assertEnoughItems, resolveOptions } from "../../training/index.js";
import type { CollectionState } from "../collection-state.js";
import { referenceKey } from "../feedback/feedback-reference.js";
import type { FeedbackStore } from "../feedback/feedback-store.js";
import { numberFeedback } from "./feedback-numbers.js";
import { assertTrainable } from "./fine-tune-job.js";
import type { JobBook } from "./job-book.js";
import type { JobRunner } from "./job-runner.js";

/** A job that was put back to work this often and was cut off again waits for somebody to look. */
const MOST_RESUMPTIONS = 3;

/** When fine-tunes of a collection begin: on request, by themselves as feedback comes in, and again after they were cut off. */
export class FineTunes {
  constructor(
    private readonly state: CollectionState,
    private readonly feedback: FeedbackStore,
    private readonly jobs: JobBook,
    private readonly runner: JobRunner,
  ) {}

  /** @throws invalid_setting, no_encoder, not_enough_feedback, job_running */
  async start(options: FineTuneOptions): Promise<Job> {
    const { dryRun: _, ...training } = options;
    const { scope, source } = resolveOptions(training);
    assertTrainable(scope, this.state);
    if (source === "augmentation") assertEnoughItems(this.state.table.count);
    else this.assertEnoughFeedback();
    return this.runner.fineTune(options);
  }

  /** When enough feedback has come since the last job began, and none is under way. */
  async startWhenDue(): Promise<{ id: string } | undefined> {
    const { settings, log, record } = this.state;
    const { autoTune } = settings;
    if (autoTune === null || this.feedback.sinceFineTune < autoTune.minFeedback) return undefined;
    if (this.jobs.open().some(({ kind }) => kind === "fine-tune")) return undefined;
    const { minFeedback: _, ...options } = autoTune;
    try {
      const { id } = await this.start(options);
      return { id };
    } catch (error) {
      if (!(error instanceof AttuneError)) throw error;
      log.info(`Collection ${record.name}: no automatic fine-tune yet: ${error.message}`);
      return undefined;
    }
  }

  /** At a start: goes on with what the last end cut off, unless that has happened too often for it to be chance. */
  async resumeCutOff(): Promise<void> {
    const { log, record } = this.state;
    for (const { id, resumed = 0 } of this.jobs.resumable()) {
      if (resumed >= MOST_RESUMPTIONS) continue;
      try {
        await this.runner.resume(id);
        log.info(`Collection ${record.name}: job ${id} goes on.`);
      } catch (error) {
        log.warn(`Collection ${record.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  private assertEnoughFeedback(): void {
    const numbers = new Map<string, number>();
    const numbered = numberFeedback(this.feedback.usable(), (reference) => {
      const key = referenceKey(reference);
      const number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
      return number;
    });
    assertEnoughFeedback(numbered);
  }
}
