import type { FoldSetup } from "./fold-setup.js";
import { doJob, type HeadJob, type HeadJobResult, type JobContext } from "./head-jobs.js";
import type { Lane } from "./lane.js";

/** Jobs in this thread. Whoever closes it has seen to it that `pause` of the context throws. */
export class OwnLane implements Lane {
  readonly #context: JobContext;
  readonly #setup: FoldSetup;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: JobContext, setup: FoldSetup) {
    this.#context = context;
    this.#setup = setup;
  }

  do(job: HeadJob): Promise<HeadJobResult> {
    const result = doJob(this.#context, this.#setup, job);
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.#last;
  }
}
