import { AttuneError } from "../../errors/index.js";
import type { Verdict } from "../gate/judge.js";
import { MinedNegatives } from "../miners/hard-negative-miner.js";
import { createVectorFile } from "../rows/vector-writer.js";
import { pauseBetweenSteps } from "../task/hooks.js";
import { type FoldSetup, setUpFolds } from "./fold-setup.js";
import type { HeadContext } from "./head-context.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";
import type { Lane } from "./lane.js";
import type { LaneStart } from "./lane-messages.js";
import { OwnLane } from "./own-lane.js";
import type { ThreadLane } from "./thread-lane.js";
import type { TrainedHead } from "./training-run.js";

/** What most waits for goes first: what is trained on all feedback is what will be written. */
const URGENCY = { write: 0, check: 0, all: 0, fold: 1, look: 2 } as const;

interface OpenJob {
  job: HeadJob;
  resolve(result: HeadJobResult): void;
  reject(error: unknown): void;
}

/**
 * Has heads trained, looked at and applied, each job in one of some lanes: this thread, and others beside it. Every job may throw as
 * `trainHead` does, or the signal's reason.
 */
export class HeadWork {
  /** What the jobs go by. */
  readonly setup: FoldSetup;
  readonly #context: HeadContext;
  /** This thread last: it is deaf while it does a job. */
  readonly #lanes: readonly Lane[];
  readonly #free: Set<Lane>;
  readonly #waiting: OpenJob[] = [];
  readonly #taken = new Set<OpenJob>();
  /** Aborted, with the reason, when what is being done is given up. */
  readonly #ended = new AbortController();
  readonly #cancel = () => this.#giveUp(this.#context.signal?.reason);

  /** @param beside started, and waiting for a task: one less than the context's `lanes` */
  constructor(context: HeadContext, beside: readonly ThreadLane[]) {
    const { task, miner, meter, signal } = context;
    const start: LaneStart = { task, ...(miner instanceof MinedNegatives && { mined: miner.entries() }) };
    for (const lane of beside) {
      lane.start(start, (made, dropped) => {
        if (dropped > 0) meter.drop(dropped);
        if (made > 0) meter.advance(made);
      });
    }
    this.#context = { ...context, pause: pauseBetweenSteps(this.#ended.signal) };
    this.setup = setUpFolds(this.#context);
    this.#lanes = [...beside, new OwnLane(this.#context, this.setup)];
    this.#free = new Set(this.#lanes);
    if (signal?.aborted) this.#cancel();
    signal?.addEventListener("abort", this.#cancel, { once: true });
  }

  /** Jobs that are done side by side. */
  get lanes(): number {
    return this.#lanes.length;
  }

  trainFold(recipe: number, fold: number): Promise<TrainedHead> {
    return this.#do({ kind: "fold", recipe, fold }) as Promise<TrainedHead>;
  }

  trainOnAll(recipe: number, steps: number): Promise<TrainedHead> {
    return this.#do({ kind: "all", recipe, steps }) as Promise<TrainedHead>;
  }

  /** What a fold holds out, or every fold does, through given weights (d x d). */
  look(weights: Float32Array, fold?: number): Promise<Verdict> {
    return this.#do({ kind: "look", weights, ...(fold === undefined ? {} : { fold }) }) as Promise<Verdict>;
  }

  /** Writes the vector of every live item by the head that was written; they are on the disk when this resolves. @throws as `reEmbed` */
  async writeVectors(): Promise<void> {
    const { task, labels } = this.#context;
    await createVectorFile(task.output.vectors, labels, task.dimensions);
    await this.#inParts(labels.length, (from, to) => this.#do({ kind: "write", from, to }));
  }

  /** The ranks of every judged anchor's targets among the vectors that the head of these weights (d x d) wrote. */
  async ranksWritten(weights: Float32Array): Promise<number[][]> {
    const anchors = this.setup.everything.judgements.length;
    const verdicts = await this.#inParts(anchors, (from, to) => this.#do({ kind: "check", weights, from, to }));
    return (verdicts as Verdict[]).flatMap(({ ranks }) => ranks);
  }

  /** Gives up what is still being done, and waits until every lane has ended. */
  async close(): Promise<void> {
    this.#context.signal?.removeEventListener("abort", this.#cancel);
    this.#giveUp(new AttuneError("internal", "What was still being done for the fine-tune was given up."));
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  /** A part of 0 to `total` (exclusive) for each job that goes on beside the others. */
  #inParts<Result>(total: number, work: (from: number, to: number) => Promise<Result>): Promise<Result[]> {
    const bound = (part: number) => Math.round((part * total) / this.lanes);
    return Promise.all(Array.from({ length: this.lanes }, (_, part) => work(bound(part), bound(part + 1))));
  }

  #do(job: HeadJob): Promise<HeadJobResult> {
    return new Promise((resolve, reject) => {
      if (this.#ended.signal.aborted) throw this.#ended.signal.reason;
      this.#waiting.push({ job, resolve, reject });
      this.#waiting.sort((a, b) => URGENCY[a.job.kind] - URGENCY[b.job.kind]);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (!this.#free.has(lane)) continue;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      void this.#give(next, lane);
    }
  }

  async #give(next: OpenJob, lane: Lane): Promise<void> {
    this.#free.delete(lane);
    this.#taken.add(next);
    await lane.do(next.job).then(next.resolve, next.reject);
    this.#taken.delete(next);
    this.#free.add(lane);
    this.#dispatch();
  }

  #giveUp(reason: unknown): void {
    this.#ended.abort(reason);
    for (const { reject } of [...this.#waiting.splice(0), ...this.#taken]) reject(reason);
  }
}
