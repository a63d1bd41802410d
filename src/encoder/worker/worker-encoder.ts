import { Worker } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import type { ProviderChoice } from "../../runtime/index.js";
import type { EncodeOptions, EncodeResult, Encoder, EncoderIdentity, EncoderInput } from "../encoder.js";
import type { Modality, ModelDescription } from "../model-description.js";
import { type EncoderWorkerData, type FromWorker, fromWire, type ToWorker } from "./protocol.js";

export interface WorkerEncoderOptions {
  provider: ProviderChoice;
  threads: number | undefined;
  log: (message: string) => void;
}

interface Waiting {
  resolve(result: EncodeResult): void;
  reject(reason: unknown): void;
  /** Lets go of the caller's signal. */
  settled(): void;
}

type Ready = Extract<FromWorker, { type: "ready" }>;

/** An encoder whose models, and what prepares their inputs, live in a worker thread; this side only passes messages. */
export class WorkerEncoder implements Encoder {
  readonly id: string;
  readonly identity: EncoderIdentity;
  readonly modality: Modality;
  readonly accepts: { readonly text: boolean; readonly image: boolean };
  readonly provider: string;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Why nothing is taken any more, once that is so. */
  #stopped: AttuneError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    private readonly worker: Worker,
    model: ModelDescription,
    ready: Ready,
  ) {
    this.id = model.id;
    this.modality = model.modality;
    this.accepts = {
      text: model.modality === "text" || model.textTower !== undefined,
      image: model.modality === "image",
    };
    this.provider = ready.provider;
    this.identity = identityOf(model, ready);
  }

  get dimensions(): number {
    return this.identity.dimensions;
  }

  get maxTokens(): number {
    return this.identity.maxTokens ?? 0;
  }

  /** @throws invalid_encoder, provider_unavailable when the thread cannot open the model. */
  static async open(model: ModelDescription, options: WorkerEncoderOptions): Promise<WorkerEncoder> {
    const { provider, threads, log } = options;
    const workerData: EncoderWorkerData = { model, provider, threads };
    const worker = new Worker(new URL("./encoder-worker.js", import.meta.url), { workerData, name: "attune-encoder" });
    const ready = await firstAnswer(worker, model, log);
    const encoder = new WorkerEncoder(worker, model, ready);
    encoder.#listen(log);
    return encoder;
  }

  encode(inputs: readonly EncoderInput[], { priority = "bulk", signal }: EncodeOptions = {}): Promise<EncodeResult> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refused = this.#refusal(inputs);
    if (refused !== undefined) return Promise.reject(refused);
    if (inputs.length === 0) return Promise.resolve({ vectors: new Float32Array(0), truncated: 0, tokens: 0 });
    const id = ++this.#lastId;
    return new Promise<EncodeResult>((resolve, reject) => {
      const onAbort = () => {
        this.#take(id)?.reject(signal?.reason);
        this.#send({ type: "cancel", id });
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.set(id, { resolve, reject, settled: () => signal?.removeEventListener("abort", onAbort) });
      const { own, transfer } = withOwnBytes(inputs);
      this.worker.postMessage({ type: "encode", id, inputs: own, priority } satisfies ToWorker, transfer);
    });
  }

  #refusal(inputs: readonly EncoderInput[]): AttuneError | undefined {
    if (!this.accepts.text && inputs.some((input) => typeof input === "string")) {
      return new AttuneError(
        "wrong_modality",
        `The encoder ${this.id} reads images, and has no model that puts texts into the same space. Send an image, or use a CLIP pair.`,
      );
    }
    if (this.accepts.image || inputs.every((input) => typeof input === "string")) return undefined;
    return new AttuneError(
      "wrong_modality",
      `The encoder ${this.id} reads texts, not images. Send a text, or use an image encoder.`,
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#stopped !== undefined) return;
    this.#stopped = new AttuneError("shutting_down", "The encoder is closed.");
    const exited = new Promise((resolve) => this.worker.once("exit", resolve));
    this.#send({ type: "close" });
    await exited;
  }

  #send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.settled();
    return waiting;
  }

  #listen(log: (message: string) => void): void {
    this.worker.on("message", (message: FromWorker) => {
      if (message.type === "encoded") {
        const { id, vectors, truncated, tokens } = message;
        this.#take(id)?.resolve({ vectors, truncated, tokens });
      } else if (message.type === "refused") this.#take(message.id)?.reject(fromWire(message.error));
      else if (message.type === "log") log(message.message);
    });
    this.worker.on("error", (cause) => {
      this.#stopped = new AttuneError("internal", `The encoder ${this.id} crashed: ${cause.message}`, { cause });
    });
    this.worker.on("exit", () => {
      this.#stopped ??= new AttuneError("internal", `The thread of the encoder ${this.id} ended by itself.`);
      for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(this.#stopped);
    });
  }
}

function identityOf(model: ModelDescription, { pooling, dimensions }: Ready): EncoderIdentity {
  const { normalize, checksums } = model;
  if (model.modality === "text") return { ...checksums, pooling, normalize, maxTokens: model.maxTokens, dimensions };
  const { textTower } = model;
  const ofTexts = textTower && {
    textWeights: textTower.checksums.weights,
    tokenizer: textTower.checksums.tokenizer,
    maxTokens: textTower.maxTokens,
  };
  return { ...checksums, ...ofTexts, pooling, normalize, dimensions };
}

/** Images as copies that are given away to the thread: the caller's may be parts of a buffer far larger than they are. */
function withOwnBytes(inputs: readonly EncoderInput[]): { own: EncoderInput[]; transfer: ArrayBuffer[] } {
  const transfer: ArrayBuffer[] = [];
  const own = inputs.map((input) => {
    if (typeof input === "string") return input;
    const copy = new Uint8Array(input);
    transfer.push(copy.buffer);
    return copy;
  });
  return { own, transfer };
}

/** Waits until the thread has opened the model, or has said why it cannot, or has died trying. */
function firstAnswer(worker: Worker, model: ModelDescription, log: (message: string) => void): Promise<Ready> {
  return new Promise<Ready>((resolve, reject) => {
    let reason: AttuneError | undefined;
    const onMessage = (message: FromWorker) => {
      if (message.type === "log") log(message.message);
      else if (message.type === "failed") reason = fromWire(message.error);
      else if (message.type === "ready") {
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
        resolve(message);
      }
    };
    const onError = (cause: Error) => {
      const message = `The thread of the encoder ${model.id} crashed while opening ${model.modelPath}: ${cause.message}`;
      reason = new AttuneError("invalid_encoder", message, { cause });
    };
    // Rejecting only now: the thread is gone, so nothing of it can disturb what the caller does next.
    const onExit = () => {
      const fallback = `The thread of the encoder ${model.id} ended while opening ${model.modelPath}.`;
      reject(reason ?? new AttuneError("invalid_encoder", fallback));
    };
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
  });
}
