import { AttuneError } from "../../errors/index.js";
import type { Verdict } from "../gate/judge.js";
import { createVectorFile } from "../rows/vector-writer.js";
import { type FoldSetup, setUpFolds } from "./fold-setup.js";
import type { HeadContext } from "./head-context.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";
import type { TrainedHead } from "./training-run.js";

/** Has heads trained, looked at and applied. Every job may throw as `trainHead` does, or the signal's reason. */
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

  /** Writes the vector of every live item by the head that was written; they are on the disk when this resolves. @throws as `reEmbed` */
  async writeVectors(): Promise<void> {
    const { task, labels } = this.context;
    await createVectorFile(task.output.vectors, labels, task.dimensions);
    await this.#inParts(labels.length, (from, to) => this.do({ kind: "write", from, to }));
  }

  /** The ranks of every judged anchor's targets among the vectors that the head of these weights (d x d) wrote. */
  async ranksWritten(weights: Float32Array): Promise<number[][]> {
    const anchors = this.setup.everything.judgements.length;
    const verdicts = await this.#inParts(anchors, (from, to) => this.do({ kind: "check", weights, from, to }));
    return (verdicts as Verdict[]).flatMap(({ ranks }) => ranks);
  }

  /** A part of 0 to `total` (exclusive) for each job that goes on beside the others. */
  #inParts<Result>(total: number, work: (from: number, to: number) => Promise<Result>): Promise<Result[]> {
    const bound = (part: number) => Math.round((part * total) / this.lanes);
    return Promise.all(Array.from({ length: this.lanes }, (_, part) => work(bound(part), bound(part + 1))));
  }
}

export function givenUp(): AttuneError {
  return new AttuneError("internal", "What was still being done for the fine-tune was given up.");
}
