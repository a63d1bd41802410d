import { Worker } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { FOLDS } from "../gate/folds.js";
import { MinedNegatives } from "../miners/hard-negative-miner.js";
import type { FoldReply, FoldRequest, FoldWorkerStart } from "./fold-messages.js";
import { type FoldSetup, trainFold } from "./fold-training.js";
import type { HeadContext } from "./head-context.js";
import type { TrainedHead } from "./training-run.js";

/** Trains heads of folds. */
export interface FoldTrainers {
  /** @throws as `trainHead`; the signal's reason */
  train(recipe: number, fold: number): Promise<TrainedHead>;
  /** Waits until every thread has ended; what is still being trained is given up. */
  close(): Promise<void>;
}

/**
 * Trainings of folds have nothing to do with one another, so on the CPU each takes a thread for itself, with as many side by side as there are
 * threads: a step of a head is too short for two threads to share (192 x 512 x 512 products, and waiting for each other after each).
 */
export function openFoldTrainers(context: HeadContext, setup: FoldSetup): FoldTrainers {
  const lanes = lanesOf(context);
  return lanes === 1 ? new OwnThread(context, setup) : new FoldPool(context, lanes);
}

/** How many folds are trained side by side. */
export function lanesOf({ task, options, engine }: Pick<HeadContext, "task" | "options" | "engine">): number {
  return options.engine === "onnx" && engine.provider === "cpu" ? Math.min(FOLDS, task.threads) : 1;
}

/** One training after the other, in this thread. */
class OwnThread implements FoldTrainers {
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly context: HeadContext,
    private readonly setup: FoldSetup,
  ) {}

  train(recipe: number, fold: number): Promise<TrainedHead> {
    const head = this.#last.then(() => trainFold(this.context, this.setup, recipe, fold));
    this.#last = head;
    head.catch(() => {});
    return head;
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#last]);
  }
}

interface Job {
  recipe: number;
  fold: number;
  resolve(head: TrainedHead): void;
  reject(error: unknown): void;
}

class FoldPool implements FoldTrainers {
  readonly #lanes: Lane[];
  readonly #waiting: Job[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #cancel = () => this.#giveUp(this.#signal?.reason);

  constructor({ task, miner, meter, signal }: HeadContext, lanes: number) {
    const start: FoldWorkerStart = {
      task: { ...task, threads: Math.max(1, Math.floor(task.threads / lanes)) },
      ...(miner instanceof MinedNegatives && { mined: miner.entries() }),
    };
    const onSteps = (made: number, dropped: number) => {
      if (dropped > 0) meter.drop(dropped);
      if (made > 0) meter.advance(made);
    };
    this.#lanes = Array.from({ length: lanes }, () => new Lane(start, onSteps, () => this.#dispatch()));
    this.#signal = signal;
    signal?.addEventListener("abort", this.#cancel, { once: true });
  }

  train(recipe: number, fold: number): Promise<TrainedHead> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ recipe, fold, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#cancel);
    this.#giveUp(new AttuneError("internal", "The training of the folds was given up."));
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (!lane.idle) continue;
      const job = this.#waiting.shift();
      if (job === undefined) return;
      lane.take(job);
    }
  }

  #giveUp(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    for (const lane of this.#lanes) lane.cancel(reason);
  }
}

/** One thread, one job at a time. */
class Lane {
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  #job: Job | undefined;
  #ended = false;

  constructor(
    start: FoldWorkerStart,
    private readonly onSteps: (made: number, dropped: number) => void,
    private readonly onIdle: () => void,
  ) {
    this.#worker = new Worker(new URL("./fold-worker.js", import.meta.url), { workerData: start });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.on("message", (reply: FoldReply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#die(cause));
    this.#worker.once("exit", () => this.#die(new Error("it ended")));
  }

  get idle(): boolean {
    return this.#job === undefined && !this.#ended;
  }

  take(job: Job): void {
    this.#job = job;
    this.#post({ kind: "train", recipe: job.recipe, fold: job.fold });
  }

  /** Gives up what is being trained, between two steps. */
  cancel(reason: unknown): void {
    if (this.#job === undefined) return;
    this.#job.reject(reason);
    this.#job = undefined;
    this.#ended = true;
    this.#post({ kind: "cancel" });
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#post({ kind: "close" });
    await this.#exited;
  }

  #post(request: FoldRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: FoldReply): void {
    if (reply.kind === "steps") this.onSteps(reply.made, reply.dropped);
    else this.#finish(reply);
  }

  #finish(reply: Exclude<FoldReply, { kind: "steps" }>): void {
    const job = this.#job;
    this.#job = undefined;
    if (reply.kind === "trained") job?.resolve(reply.head);
    else job?.reject(reply.code === undefined ? new Error(reply.message) : new AttuneError(reply.code, reply.message));
    this.onIdle();
  }

  #die(cause: Error): void {
    this.#ended = true;
    this.#job?.reject(
      new AttuneError("fine_tune_failed", `A thread that trains folds has died: ${cause.message}`, { cause }),
    );
    this.#job = undefined;
  }
}
