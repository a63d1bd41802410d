import { availableParallelism } from "node:os";
import { env, InferenceSession, type Tensor as OrtTensor } from "onnxruntime-node";
import { AttuneError } from "../errors/index.js";
import { copyModel } from "./copy-model.js";
import { fromOrt, HeldTensor, type Holder, toOrt } from "./held-tensor.js";
import { availableProviders, isBuiltIn, type Provider, type ProviderChoice } from "./providers.js";
import { isTensorType, type Tensor, type TensorType } from "./tensor.js";

export interface SessionOptions {
  /** `auto` takes the first provider that starts, at last the CPU. @default "auto" */
  readonly provider?: ProviderChoice;
  /** Threads of the CPU provider, the caller's own included. @default the number of cores */
  readonly threads?: number;
  /** Outputs that `runHolding` leaves on the device, on a provider that can keep them there. @default none */
  readonly hold?: readonly string[];
  /**
   * Plans the memory of a run after an earlier one of the same shapes. Where shapes vary such plans pile up beside what they replace:
   * training steps of an encoder took twice the memory with them, and no less time. @default true
   */
  readonly planMemory?: boolean;
  /** Told, in one sentence, when `auto` falls back. @default nobody */
  readonly log?: (message: string) => void;
}

// Failures are thrown and told once, in our words; ONNX Runtime would print them as well.
env.logLevel = "fatal";

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
  const { provider = "auto", threads = availableParallelism(), hold = [], planMemory = true, log = () => {} } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new AttuneError("invalid_setting", `threads must be a whole number of at least 1; got ${threads}.`);
  }
  const settings = { threads, hold, planMemory };
  return provider === "auto"
    ? openFirst(model, availableProviders(), settings, log)
    : openForced(model, provider, settings);
}

/** @internal Opens a model with the first provider that starts, and at last with the CPU. */
export async function openFirst(
  model: string | Uint8Array,
  candidates: readonly Provider[],
  settings: CreateSettings,
  log: (message: string) => void,
): Promise<Session> {
  for (const candidate of candidates) {
    if (candidate === "cpu") break;
    try {
      return new OrtSession(candidate, await create(model, candidate, settings));
    } catch (error) {
      log(`The execution provider ${candidate} cannot start (${reasonOf(error)}); going on without it.`);
    }
  }
  return openForced(model, "cpu", settings);
}

async function openForced(model: string | Uint8Array, provider: Provider, settings: CreateSettings): Promise<Session> {
  try {
    return new OrtSession(provider, await create(model, provider, settings));
  } catch (cause) {
    // A model that the CPU cannot load either is at fault, not the provider.
    const modelFault = provider === "cpu" ? cause : await faultOf(model, settings);
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

async function faultOf(model: string | Uint8Array, settings: CreateSettings): Promise<unknown> {
  try {
    const session = await create(model, "cpu", settings);
    await session.release();
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * WebGPU would rather have channels last, and for that ONNX Runtime moves transposes through the graph: version 1.30 then made a
 * training step of a convolutional net pick the fifth of four dimensions, and fail. Graphs are run as they were written.
 */
const WEBGPU: InferenceSession.WebGpuExecutionProviderOption = { name: "webgpu", preferredLayout: "NCHW" };

/** @internal */
export interface CreateSettings {
  readonly threads: number;
  readonly hold: readonly string[];
  readonly planMemory: boolean;
}

function create(
  model: string | Uint8Array,
  provider: Provider,
  { threads, hold, planMemory }: CreateSettings,
): Promise<InferenceSession> {
  // Only WebGPU's tensors can be handed about by onnxruntime-node 1.30; others come to this process's memory.
  const onDevice = provider === "webgpu" && hold.length > 0;
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider === "webgpu" ? WEBGPU : provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    enableMemPattern: planMemory,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    ...(onDevice ? { preferredOutputLocation: Object.fromEntries(hold.map((name) => [name, "gpu-buffer"])) } : {}),
  };
  return typeof model === "string" ? InferenceSession.create(model, options) : InferenceSession.create(model, options);
}

class OrtSession implements Session, Holder {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  #session: InferenceSession | undefined;
  #last: Promise<void> = Promise.resolve();
  /** Tensors on the device: freeing one after the session has ended would end the process. */
  readonly #onDevice = new Set<HeldTensor>();
  /** Sessions that copy a tensor out of the device, by its element type. */
  readonly #copiers = new Map<TensorType, Promise<InferenceSession>>();

  constructor(
    readonly provider: Provider,
    session: InferenceSession,
  ) {
    this.#session = session;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  run(feeds: Feeds, outputs: readonly string[] = this.outputNames): Promise<Record<string, Tensor>> {
    return this.#awaited(this.#run(feeds, outputs));
  }

  runHolding(feeds: Feeds, hold: readonly string[]): Promise<HoldingResult> {
    return this.#awaited(this.#runHolding(feeds, hold));
  }

  async #run(feeds: Feeds, outputs: readonly string[]): Promise<Record<string, Tensor>> {
    const results = await this.#execute(feeds, outputs);
    const tensors: Record<string, Tensor> = {};
    for (const [name, value] of Object.entries(results)) tensors[name] = await this.#take(name, value);
    return tensors;
  }

  async #runHolding(feeds: Feeds, hold: readonly string[]): Promise<HoldingResult> {
    for (const name of hold) {
      if (!this.outputNames.includes(name))
        throw new AttuneError("internal", `The model has no output "${name}" to hold.`);
    }
    const results = await this.#execute(feeds, this.outputNames);
    const tensors: Record<string, Tensor> = {};
    const held: Record<string, HeldTensor> = {};
    for (const [name, value] of Object.entries(results)) {
      if (hold.includes(name)) held[name] = this.#hold(value);
      else tensors[name] = await this.#take(name, value);
    }
    return { tensors, held };
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await this.#last;
    for (const tensor of this.#onDevice) tensor.release();
    for (const copier of await Promise.allSettled(this.#copiers.values())) {
      if (copier.status === "fulfilled") await copier.value.release();
    }
    this.#copiers.clear();
    await session?.release();
  }

  download(ort: OrtTensor): Promise<OrtTensor> {
    return this.#awaited(this.#copy(ort));
  }

  // onnxruntime-node 1.30 has no way to read a tensor on a device: its `getData` aborts the process. What a model puts out is
  // read, so the tensor is sent through one that changes nothing.
  async #copy(ort: OrtTensor): Promise<OrtTensor> {
    if (!isTensorType(ort.type)) {
      throw new AttuneError("invalid_model", `A tensor of the type ${ort.type} cannot be read from the device.`);
    }
    let copier = this.#copiers.get(ort.type);
    if (copier === undefined) {
      copier = create(copyModel(ort.type), this.provider, { threads: 1, hold: [], planMemory: true });
      this.#copiers.set(ort.type, copier);
    }
    const { y } = await (await copier).run({ x: ort });
    if (y === undefined) throw new AttuneError("internal", "A copy of a tensor on a device has no output.");
    return y;
  }

  forget(tensor: HeldTensor): void {
    this.#onDevice.delete(tensor);
  }

  #hold(value: OrtTensor): HeldTensor {
    const tensor = new HeldTensor(value, this);
    if (tensor.onDevice) this.#onDevice.add(tensor);
    return tensor;
  }

  /** Lets `close` wait for work in progress. */
  #awaited<T>(work: Promise<T>): Promise<T> {
    const earlier = this.#last;
    this.#last = work.then(
      () => earlier,
      () => earlier,
    );
    return work;
  }

  async #take(name: string, value: OrtTensor): Promise<Tensor> {
    if (value.location === "cpu") return fromOrt(name, value);
    const copy = await this.download(value);
    value.dispose();
    return fromOrt(name, copy);
  }

  async #execute(feeds: Feeds, outputs: readonly string[]): Promise<Record<string, OrtTensor>> {
    const session = this.#session;
    if (session === undefined) throw new AttuneError("internal", "The session is closed.");
    const converted = this.#feed(feeds);
    try {
      return await session.run(converted, [...outputs]);
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

/** The first line of an error of ONNX Runtime, without the place in its source and the full stop. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = (text.split("\n")[0] ?? text).trim();
  return line.replace(/^\/onnxruntime_src\/.* was false\. /, "").replace(/\.$/, "");
}
