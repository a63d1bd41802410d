import { AttuneError } from "../../errors/index.js";
import type { Verdict } from "../gate/judge.js";
import { type FoldSetup, setUpFolds } from "./fold-setup.js";
import type { HeadContext } from "./head-context.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";
import type { TrainedHead } from "./training-run.js";

/** Has heads trained and looked at. Every job may throw as `trainHead` does, or the signal's reason. */
export abstract class HeadWork {
  /** Jobs that are done side by side. */
  abstract readonly lanes: number;
  #setup: FoldSetup | undefined;

  constructor(protected readonly context: HeadContext) {}

  /** What the jobs go by; made when it is first asked for, so that threads start meanwhile. */
  get setup(): FoldSetup {
    this.#setup ??= setUpFolds(this.context);
    return this.#setup;
  }

  protected abstract do(job: HeadJob): Promise<HeadJobResult>;

  /** Waits until every thread has ended; what is still being done is given up. */
  abstract close(): Promise<void>;

  trainFold(recipe: number, fold: number): Promise<TrainedHead> {
    return this.do({ kind: "fold", recipe, fold }) as Promise<TrainedHead>;
  }

  trainOnAll(recipe: number, steps: number): Promise<TrainedHead> {
    return this.do({ kind: "all", recipe, steps }) as Promise<TrainedHead>;
  }

  /** What a fold holds out, or every fold does, through given weights (d x d). */
  look(weights: Float32Array, fold?: number): Promise<Verdict> {
    return this.do({ kind: "look", weights, ...(fold === undefined ? {} : { fold }) }) as Promise<Verdict>;
  }
}

export function givenUp(): AttuneError {
  return new AttuneError("internal", "What was still being done for the fine-tune was given up.");
}
