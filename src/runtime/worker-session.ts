import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { AttuneError } from "../errors/index.js";
import type { Provider } from "./providers.js";
import type { SessionOptions } from "./session.js";
import { checkTensor, type Tensor } from "./tensor.js";
import type { Reply, Request, WorkerStart } from "./worker-messages.js";

export interface WorkerSessionOptions extends SessionOptions {
  /** Added to the niceness of the worker's threads, 0 to 19; larger yields more to others. Has no effect except on Linux. @default 0 */
  readonly niceness?: number;
}

/** A loaded model whose runs leave the calling thread free. Runs are done one after the other, in the order they were asked for. */
export interface WorkerSession {
  readonly provider: Provider;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param options.outputs the outputs wanted @default all
   * @param options.transfer hands the feeds' memory over instead of copying it: the caller's arrays are then empty @default false
   * @throws as `Session.run`
   */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    options?: { outputs?: readonly string[]; transfer?: boolean },
  ): Promise<Record<string, Tensor>>;
  /** Lets every run that was asked for finish, then ends the worker. */
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (tensors: Record<string, Tensor>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Loads a model in a worker thread of its own.
 * @param model a path, or the bytes of the file
 * @throws as `openSession`; invalid_setting when the niceness is not 0 to 19
 */
export async function openWorkerSession(
  model: string | Uint8Array,
  options: WorkerSessionOptions = {},
): Promise<WorkerSession> {
  const { log = () => {}, niceness = 0, ...rest } = options;
  if (!Number.isInteger(niceness) || niceness < 0 || niceness > 19) {
    throw new AttuneError("invalid_setting", `niceness must be a whole number from 0 to 19; got ${niceness}.`);
  }
  const workerData: WorkerStart = { model, options: rest, niceness };
  const worker = new Worker(new URL("./session-worker.js", import.meta.url), { workerData });
  const opened = await firstReply(worker, log);
  return new ThreadSession(worker, opened, log);
}

function firstReply(worker: Worker, log: (message: string) => void): Promise<Reply & { kind: "open" }> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
    };
    const onMessage = (reply: Reply) => {
      if (reply.kind === "log") return log(reply.message);
      settle();
      if (reply.kind === "open") resolve(reply);
      // The worker has nothing left to do and ends by itself; the error is told when it has.
      else if (reply.kind === "failed") worker.once("exit", () => reject(new AttuneError(reply.code, reply.message)));
    };
    const onError = (cause: unknown) => {
      settle();
      reject(new AttuneError("internal", "The worker of a model session failed.", { cause }));
    };
    const onExit = () => onError(new Error("it ended before the model was open"));
    worker.on("message", onMessage);
    worker.once("error", onError);
    worker.once("exit", onExit);
  });
}

class ThreadSession implements WorkerSession {
  readonly provider: Provider;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<unknown>;
  #lastId = 0;
  #open = true;

  constructor(
    private readonly worker: Worker,
    opened: Reply & { kind: "open" },
    log: (message: string) => void,
  ) {
    this.provider = opened.provider;
    this.inputNames = opened.inputNames;
    this.outputNames = opened.outputNames;
    this.#exited = once(worker, "exit").then(() => this.#abandon(new Error("the worker ended")));
    worker.on("message", (reply: Reply) => this.#receive(reply, log));
    worker.on("error", (error) => this.#abandon(error));
  }

  async run(
    feeds: Readonly<Record<string, Tensor>>,
    options: { outputs?: readonly string[]; transfer?: boolean } = {},
  ): Promise<Record<string, Tensor>> {
    if (!this.#open) throw new AttuneError("internal", "The session is closed.");
    for (const [name, tensor] of Object.entries(feeds)) checkTensor(name, tensor);
    const id = ++this.#lastId;
    const result = new Promise<Record<string, Tensor>>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    const buffers = new Set(
      options.transfer ? Object.values(feeds).map((tensor) => tensor.data.buffer as ArrayBuffer) : [],
    );
    this.#post({ kind: "run", id, feeds, outputs: options.outputs }, [...buffers]);
    return result;
  }

  async close(): Promise<void> {
    if (this.#open) this.#post({ kind: "close" });
    this.#open = false;
    await this.#exited;
  }

  #post(request: Request, transfer: readonly ArrayBuffer[] = []): void {
    this.worker.postMessage(request, [...transfer]);
  }

  #receive(reply: Reply, log: (message: string) => void): void {
    if (reply.kind === "log") log(reply.message);
    if (reply.kind === "log" || reply.kind === "open" || reply.id === undefined) return;
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === "result") pending?.resolve(reply.tensors);
    else pending?.reject(new AttuneError(reply.code, reply.message));
  }

  /** A worker that ended, asked to or not, answers nobody any more. */
  #abandon(cause: unknown): void {
    this.#open = false;
    for (const { reject } of this.#pending.values()) {
      reject(new AttuneError("internal", "The worker of a model session ended before its run did.", { cause }));
    }
    this.#pending.clear();
  }
}
