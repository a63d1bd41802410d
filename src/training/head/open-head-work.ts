import { FOLDS } from "../gate/folds.js";
import type { HeadContext } from "./head-context.js";
import { doJob, type HeadJob, type HeadJobResult } from "./head-jobs.js";
import { givenUp, HeadWork } from "./head-work.js";
import { Lanes } from "./lanes.js";

/**
 * Trainings and looks have nothing to do with one another, so on the CPU each takes a thread for itself, with as many side by side as there
 * are threads: a step of a head is too short for two threads to share (192 x 512 x 512 products, and waiting for each other after each).
 */
export function openHeadWork(context: HeadContext): HeadWork {
  const lanes = lanesOf(context);
  return lanes === 1 ? new OwnThread(context) : new Lanes(context, lanes);
}

/** How many jobs are done side by side. */
export function lanesOf({ task, options, engine }: Pick<HeadContext, "task" | "options" | "engine">): number {
  return options.engine === "onnx" && engine.provider === "cpu" ? Math.min(FOLDS, task.threads) : 1;
}

/** One job after the other, in this thread. */
class OwnThread extends HeadWork {
  readonly lanes = 1;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  protected do(job: HeadJob): Promise<HeadJobResult> {
    const result = this.#last.then(() => {
      if (this.#closed) throw givenUp();
      return doJob(this.context, this.setup, job);
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}
