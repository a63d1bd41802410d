import { availableParallelism } from "node:os";
import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { AttuneError } from "../errors/index.js";
import { availableProviders, isBuiltIn, type Provider, type ProviderChoice } from "./providers.js";
import { checkTensor, isTensorType, type Tensor } from "./tensor.js";

export interface SessionOptions {
  /** `auto` takes the first provider that starts, at last the CPU. @default "auto" */
  readonly provider?: ProviderChoice;
  /** Threads of the CPU provider, the caller's own included. @default the number of cores */
  readonly threads?: number;
  /** Told, in one sentence, when `auto` falls back. @default nobody */
  readonly log?: (message: string) => void;
}

// Failures are thrown and told once, in our words; ONNX Runtime would print them as well.
env.logLevel = "fatal";

/**
 * A tensor that stays where a run left it, to be fed to a later run. On the CPU provider no copy is made. Others move it to this
 * process's memory and back: onnxruntime-node 1.30 can leave an output on a WebGPU device, but aborts the process when it is read.
 */
export class HeldTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** @internal */
  readonly ort: OrtTensor;
  #released = false;

  /** @internal Made by a session. */
  constructor(ort: OrtTensor) {
    this.ort = ort;
    this.dtype = ort.type;
    this.shape = ort.dims;
  }

  /** The elements, fetched from the device where they are on one. @throws internal after `release` */
  async read(): Promise<Tensor> {
    if (this.#released) throw new AttuneError("internal", "This tensor was released and cannot be read any more.");
    await this.ort.getData();
    return fromOrt("held", this.ort);
  }

  /** Frees the memory now rather than at garbage collection; the tensor cannot be read or fed any more. */
  release(): void {
    this.#released = true;
    this.ort.dispose();
  }

  /** True once `release` was called. */
  get released(): boolean {
    return this.#released;
  }
}

export type Feeds = Readonly<Record<string, Tensor | HeldTensor>>;

export interface HoldingResult {
  readonly tensors: Record<string, Tensor>;
  readonly held: Record<string, HeldTensor>;
}

/** A loaded model. A run holds the calling thread until it ends; see `openWorkerSession` for one that does not. */
export interface Session {
  readonly provider: Provider;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param outputs the outputs wanted @default all
   * @throws internal when an input is missing, unknown or of the wrong size, or the session is closed; invalid_model when the model fails
   */
  run(feeds: Feeds, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Runs, and gives the outputs named in `hold` as handles instead of tensors. @throws as `run` */
  runHolding(feeds: Feeds, hold: readonly string[]): Promise<HoldingResult>;
  /** Waits for runs in progress, then frees the model. */
  close(): Promise<void>;
}

/**
 * Loads a model.
 *
 * Idle worker threads of the CPU provider sleep instead of spinning: spinning made back-to-back runs of a 64 x 512 x 512 product up
 * to a quarter faster, but one run every 20 ms then kept a core fully busy (420 ms of CPU time instead of 22), which queries need.
 *
 * @param model a path, or the bytes of the file
 * @throws invalid_model when the model cannot be loaded; provider_unavailable when a forced provider cannot start
 */
export async function openSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = "auto", threads = availableParallelism(), log = () => {} } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new AttuneError("invalid_setting", `threads must be a whole number of at least 1; got ${threads}.`);
  }
  if (provider !== "auto") return new OrtSession(provider, await openForced(model, provider, threads));
  return openFirst(model, availableProviders(), threads, log);
}

/** @internal Opens a model with the first provider that starts, and at last with the CPU. */
export async function openFirst(
  model: string | Uint8Array,
  candidates: readonly Provider[],
  threads: number,
  log: (message: string) => void,
): Promise<Session> {
  for (const candidate of candidates) {
    if (candidate === "cpu") break;
    try {
      return new OrtSession(candidate, await create(model, candidate, threads));
    } catch (error) {
      log(`The execution provider ${candidate} cannot start (${reasonOf(error)}); going on without it.`);
    }
  }
  return new OrtSession("cpu", await openForced(model, "cpu", threads));
}

async function openForced(model: string | Uint8Array, provider: Provider, threads: number): Promise<InferenceSession> {
  try {
    return await create(model, provider, threads);
  } catch (cause) {
    // A model that the CPU cannot load either is at fault, not the provider.
    const modelFault = provider === "cpu" ? cause : await faultOf(model, threads);
    if (modelFault !== undefined) {
      const name = typeof model === "string" ? `The model ${model}` : "The model";
      throw new AttuneError("invalid_model", `${name} cannot be loaded: ${reasonOf(modelFault)}.`, {
        cause: modelFault,
      });
    }
    const known = isBuiltIn(provider)
      ? ""
      : `this build of ONNX Runtime for ${process.platform} ${process.arch} does not have it; `;
    throw new AttuneError(
      "provider_unavailable",
      `The execution provider ${provider} cannot start: ${known}${reasonOf(cause)}. Choose "auto" or "cpu", or install what it needs.`,
      { cause },
    );
  }
}

async function faultOf(model: string | Uint8Array, threads: number): Promise<unknown> {
  try {
    const session = await create(model, "cpu", threads);
    await session.release();
    return undefined;
  } catch (error) {
    return error;
  }
}

function create(model: string | Uint8Array, provider: Provider, threads: number): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  };
  return typeof model === "string" ? InferenceSession.create(model, options) : InferenceSession.create(model, options);
}

class OrtSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  #session: InferenceSession | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly provider: Provider,
    session: InferenceSession,
  ) {
    this.#session = session;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  async run(feeds: Feeds, outputs: readonly string[] = this.outputNames): Promise<Record<string, Tensor>> {
    const results = await this.#execute(feeds, outputs);
    const tensors: Record<string, Tensor> = {};
    for (const [name, value] of Object.entries(results)) tensors[name] = fromOrt(name, value);
    return tensors;
  }

  async runHolding(feeds: Feeds, hold: readonly string[]): Promise<HoldingResult> {
    for (const name of hold) {
      if (!this.outputNames.includes(name))
        throw new AttuneError("internal", `The model has no output "${name}" to hold.`);
    }
    const results = await this.#execute(feeds, this.outputNames);
    const tensors: Record<string, Tensor> = {};
    const held: Record<string, HeldTensor> = {};
    for (const [name, value] of Object.entries(results)) {
      if (hold.includes(name)) held[name] = new HeldTensor(value);
      else tensors[name] = fromOrt(name, value);
    }
    return { tensors, held };
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await this.#last;
    await session?.release();
  }

  async #execute(feeds: Feeds, outputs: readonly string[]): Promise<Record<string, OrtTensor>> {
    const session = this.#session;
    if (session === undefined) throw new AttuneError("internal", "The session is closed.");
    const converted = this.#feed(feeds);
    const running = session.run(converted, [...outputs]);
    this.#last = running.catch(() => {});
    try {
      return await running;
    } catch (cause) {
      throw new AttuneError("invalid_model", `The model cannot run on these inputs: ${reasonOf(cause)}.`, { cause });
    }
  }

  #feed(feeds: Feeds): Record<string, OrtTensor> {
    const names = Object.keys(feeds);
    const missing = this.inputNames.filter((name) => !(name in feeds));
    const unknown = names.filter((name) => !this.inputNames.includes(name));
    if (missing.length > 0 || unknown.length > 0) {
      throw new AttuneError(
        "internal",
        `The model takes the inputs ${this.inputNames.join(", ")}; got ${names.join(", ") || "none"}.`,
      );
    }
    const converted: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(feeds)) converted[name] = toOrt(name, tensor);
    return converted;
  }
}

function toOrt(name: string, tensor: Tensor | HeldTensor): OrtTensor {
  if (tensor instanceof HeldTensor) {
    if (tensor.released)
      throw new AttuneError("internal", `The input "${name}" was released and cannot be fed any more.`);
    return tensor.ort;
  }
  checkTensor(name, tensor);
  return new OrtTensor(tensor.dtype, tensor.data as OrtTensor.DataType, tensor.shape);
}

function fromOrt(name: string, value: OrtTensor): Tensor {
  if (!isTensorType(value.type)) {
    throw new AttuneError("invalid_model", `The output "${name}" has the type ${value.type}, which is not supported.`);
  }
  const data = value.data as Tensor["data"];
  // From Node 24 on the numbers of float16 come as a Float16Array; here they are their bits everywhere.
  const bits = value.type === "float16" && !(data instanceof Uint16Array);
  return { dtype: value.type, shape: value.dims, data: bits ? bitsOf(data) : data };
}

function bitsOf(data: ArrayBufferView): Uint16Array {
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
}

/** The first line of an error of ONNX Runtime, without the place in its source and the full stop. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = (text.split("\n")[0] ?? text).trim();
  return line.replace(/^\/onnxruntime_src\/.* was false\. /, "").replace(/\.$/, "");
}
