import { Worker } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { FOLDS } from "../gate/folds.js";
import type { FineTuneTask } from "../task/fine-tune-task.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";
import type { Lane } from "./lane.js";
import type { LaneReply, LaneRequest, LaneStart } from "./lane-messages.js";

interface Waiting {
  resolve(result: HeadJobResult): void;
  reject(error: unknown): void;
}

/**
 * Jobs in another thread: see `lane-worker.ts`. The thread takes as long to load what it needs as reading a task does, so it is started
 * before that, and told later what the task is.
 */
export class ThreadLane implements Lane {
  readonly #worker = new Worker(new URL("./lane-worker.js", import.meta.url));
  readonly #exited = new Promise((resolve) => this.#worker.once("exit", resolve));
  #onSteps: (made: number, dropped: number) => void = () => {};
  #taken: Waiting | undefined;
  /** Why nothing is done any more. */
  #end: AttuneError | undefined;

  constructor() {
    this.#worker.on("message", (reply: LaneReply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#die(cause));
    this.#worker.once("exit", () => this.#die(new Error("it ended")));
  }

  /** To be called once, before the first job. @param onSteps told of steps, or rows, as they are made or will not be */
  start(start: LaneStart, onSteps: (made: number, dropped: number) => void): void {
    this.#onSteps = onSteps;
    this.#post({ kind: "start", start });
  }

  do(job: HeadJob): Promise<HeadJobResult> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#taken = { resolve, reject };
      this.#post({ kind: "do", job });
    });
  }

  async close(): Promise<void> {
    this.#post({ kind: "close" });
    await this.#exited;
  }

  #post(request: LaneRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: LaneReply): void {
    if (reply.kind === "steps") this.#onSteps(reply.made, reply.dropped);
    else this.#finish(reply);
  }

  #finish(reply: Exclude<LaneReply, { kind: "steps" }>): void {
    const taken = this.#taken;
    this.#taken = undefined;
    if (reply.kind === "done") taken?.resolve(reply.result);
    else
      taken?.reject(reply.code === undefined ? new Error(reply.message) : new AttuneError(reply.code, reply.message));
  }

  #die(cause: Error): void {
    const message = `A thread that trains heads has died: ${cause.message}`;
    this.#end ??= new AttuneError("fine_tune_failed", message, { cause });
    this.#taken?.reject(this.#end);
    this.#taken = undefined;
  }
}

/**
 * Starts the threads that a task's heads are trained in beside the one that asks. Trainings and looks have nothing to do with one another, so on
 * the CPU each takes a thread for itself, with as many side by side as there are threads: a step of a head is too short for two
 * threads to share (192 x 512 x 512 products, and waiting for each other after each). Where `auto` turns out to be a device they are not used.
 */
export function startLanes({ options, provider = "cpu", threads }: FineTuneTask): ThreadLane[] {
  const mayBeCpu = provider === "cpu" || provider === "auto";
  if (options.scope === "encoder" || options.engine === "tfjs" || !mayBeCpu) return [];
  return Array.from({ length: Math.min(FOLDS, threads) - 1 }, () => new ThreadLane());
}
