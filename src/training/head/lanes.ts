import { Worker } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { MinedNegatives } from "../miners/hard-negative-miner.js";
import type { HeadContext } from "./head-context.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";
import { givenUp, HeadWork } from "./head-work.js";
import type { LaneReply, LaneRequest, LaneStart } from "./lane-messages.js";

interface Waiting {
  job: HeadJob;
  resolve(result: HeadJobResult): void;
  reject(error: unknown): void;
}

/** What most waits for goes first: what is trained on all feedback is what will be written. */
const URGENCY = { write: 0, check: 0, all: 0, fold: 1, look: 2 } as const;

/** Each job in one of some threads. */
export class Lanes extends HeadWork {
  readonly #lanes: Lane[];
  readonly #waiting: Waiting[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #cancel = () => this.#giveUp(this.#signal?.reason);

  constructor(
    context: HeadContext,
    readonly lanes: number,
  ) {
    super(context);
    const { task, miner, meter, signal } = context;
    const start: LaneStart = {
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

  protected do(job: HeadJob): Promise<HeadJobResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#waiting.sort((a, b) => URGENCY[a.job.kind] - URGENCY[b.job.kind]);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#cancel);
    this.#giveUp(givenUp());
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (!lane.idle) continue;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      lane.take(next);
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
  #taken: Waiting | undefined;
  #ended = false;

  constructor(
    start: LaneStart,
    private readonly onSteps: (made: number, dropped: number) => void,
    private readonly onIdle: () => void,
  ) {
    this.#worker = new Worker(new URL("./lane-worker.js", import.meta.url), { workerData: start });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.on("message", (reply: LaneReply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#die(cause));
    this.#worker.once("exit", () => this.#die(new Error("it ended")));
  }

  get idle(): boolean {
    return this.#taken === undefined && !this.#ended;
  }

  take(next: Waiting): void {
    this.#taken = next;
    this.#post({ kind: "do", job: next.job });
  }

  /** Gives up what is being done, between two runs of the runtime. */
  cancel(reason: unknown): void {
    if (this.#taken === undefined) return;
    this.#taken.reject(reason);
    this.#taken = undefined;
    this.#ended = true;
    this.#post({ kind: "cancel" });
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#post({ kind: "close" });
    await this.#exited;
  }

  #post(request: LaneRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: LaneReply): void {
    if (reply.kind === "steps") this.onSteps(reply.made, reply.dropped);
    else this.#finish(reply);
  }

  #finish(reply: Exclude<LaneReply, { kind: "steps" }>): void {
    const taken = this.#taken;
    this.#taken = undefined;
    if (reply.kind === "done") taken?.resolve(reply.result);
    else
      taken?.reject(reply.code === undefined ? new Error(reply.message) : new AttuneError(reply.code, reply.message));
    this.onIdle();
  }

  #die(cause: Error): void {
    this.#ended = true;
    this.#taken?.reject(
      new AttuneError("fine_tune_failed", `A thread that trains heads has died: ${cause.message}`, { cause }),
    );
    this.#taken = undefined;
  }
}
