import { setImmediate as nextTurn } from "node:timers/promises";
import { AttuneError } from "../../errors/index.js";
import type { EncoderInput } from "../encoder.js";
import type { PreparedInput } from "../inputs/model-inputs.js";
import type { Modality } from "../model-description.js";
import { type EncodeRequest, type Item, type Lane, openLane, type Pending } from "./encode-lane.js";
import type { Priority } from "./protocol.js";

/** The part of a model that the queue needs. */
export interface BatchModel {
  readonly dimensions: number;
  /** True when a model has no padding mask: every text of a batch must have the same number of tokens. */
  readonly equalLengths: boolean;
  /** A text as tokens at once; an image as pixels when other threads have decoded it. */
  prepare(input: EncoderInput): PreparedInput | Promise<PreparedInput>;
  /** One row of `dimensions` numbers for each. */
  embed(batch: readonly PreparedInput[]): Promise<Float32Array>;
}

/** The models by what they read; all give the same number of dimensions. */
export type BatchModels = Partial<Record<Modality, BatchModel>>;

export interface QueueEvents {
  onEncoded(id: number, vectors: Float32Array, counts: { truncated: number; tokens: number }): void;
  /** An input of this request cannot be read, or the model failed on it. */
  onFailed(id: number, error: unknown): void;
}

const MODALITIES: readonly Modality[] = ["text", "image"];
/** What a run should take: short enough that a query arriving behind it waits little. */
const RUN_TARGET_MS = 35;
/** Preparing on this thread (tokenizing) stops after this, so that a big request cannot hold a query back. */
const PREPARE_SLICE_MS = 8;
/** Images of a lane that are decoded side by side: each may take the memory of the largest image allowed. */
const DECODED_AT_ONCE = 2;
/** Weight of the newest run in the estimate of a unit's cost. */
const SMOOTHING = 0.2;
/** Size of the first run of each modality, before its cost is known, and of the largest. */
const RUN_SIZES: Record<Modality, { first: number; largest: number }> = {
  text: { first: 256, largest: 1 << 16 },
  image: { first: 4, largest: 64 },
};

/**
 * Merges requests into batches. Inputs are prepared window by window (so that none waits for ever), sorted by length within the
 * window (so that a batch holds little padding), and cut into runs of one modality, of about RUN_TARGET_MS by the measured cost of
 * a token or an image. Before each run waiting queries go first. Images are decoded while batches run.
 */
export class EncodeQueue {
  readonly #lanes: Record<Priority, Lane> = { query: openLane(64, 16, false), bulk: openLane(512, 64, true) };
  readonly #pending = new Map<number, Pending>();
  readonly #msPerUnit: Record<Modality, number> = {
    text: RUN_TARGET_MS / RUN_SIZES.text.first,
    image: RUN_TARGET_MS / RUN_SIZES.image.first,
  };
  #working: Promise<void> | undefined;
  /** Wakes the work that waits for a decoded image. */
  #wake = () => {};

  constructor(
    private readonly models: BatchModels,
    private readonly events: QueueEvents,
  ) {}

  add(request: EncodeRequest): void {
    const pending: Pending = {
      ...request,
      vectors: new Float32Array(request.inputs.length * this.#dimensions),
      taken: 0,
      remaining: request.inputs.length,
      truncated: 0,
      tokens: 0,
      dropped: false,
    };
    this.#pending.set(request.id, pending);
    this.#lanes[request.priority].waiting.push(pending);
    this.#wake();
    this.#working ??= this.#work();
  }

  /** Forgets a request; what is in the running batch is thrown away. */
  cancel(id: number): void {
    const request = this.#pending.get(id);
    if (request === undefined) return;
    request.dropped = true;
    this.#pending.delete(id);
  }

  /** Drops every request and resolves when the running batch has ended. @returns the ids dropped. */
  async drain(): Promise<number[]> {
    const ids = [...this.#pending.keys()];
    for (const id of ids) this.cancel(id);
    await this.#working;
    return ids;
  }

  get #dimensions(): number {
    return (this.models.image ?? this.models.text)?.dimensions ?? 0;
  }

  async #work(): Promise<void> {
    for (;;) {
      // A turn of the event loop lets messages in: queries to go first, cancellations; and decoded images.
      await nextTurn();
      const run = this.#nextRun();
      if (run !== undefined) await this.#run(run);
      else if (this.#some(({ decoding }) => decoding > 0)) await this.#news();
      // Where all that is ready of one modality was dropped, the other still has its turn.
      else if (!this.#some(({ waiting, text, image }) => waiting.length + text.length + image.length > 0)) break;
    }
    this.#working = undefined;
  }

  #some(holds: (lane: Lane) => boolean): boolean {
    return holds(this.#lanes.query) || holds(this.#lanes.bulk);
  }

  /** Resolves when an image is decoded or a request arrives. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** The next batch, of queries if any are ready; undefined when nothing is. */
  #nextRun(): Item[] | undefined {
    for (const lane of [this.#lanes.query, this.#lanes.bulk]) {
      this.#fill(lane);
      const ready = MODALITIES.filter((modality) => this.#isReady(lane, modality));
      const modality = ready.find((each) => each !== lane.last) ?? ready[0];
      if (modality === undefined) continue;
      lane.last = modality;
      const run = this.#takeRun(lane, modality);
      if (run.length > 0) return run;
    }
    return undefined;
  }

  #isReady(lane: Lane, modality: Modality): boolean {
    const { length } = lane[modality];
    if (modality === "text" || !lane.patient || lane.decoding === 0) return length > 0;
    return length >= this.#budget("image");
  }

  /** Prepares what waits, in order: a window of texts when the last one is used up, images as far as there is room for them. */
  #fill(lane: Lane): void {
    const deadline = performance.now() + PREPARE_SLICE_MS;
    const opened = lane.text.length === 0;
    while (performance.now() < deadline) {
      const request = lane.waiting[0];
      if (request === undefined) break;
      const input = request.inputs[request.taken];
      if (request.dropped || input === undefined) lane.waiting.shift();
      else if (typeof input === "string") {
        if (!opened || lane.text.length >= lane.windows.text) break;
        this.#prepare(lane, request, "text", input);
      } else {
        if (lane.decoding >= DECODED_AT_ONCE || lane.image.length + lane.decoding >= lane.windows.image) break;
        this.#prepare(lane, request, "image", input);
      }
    }
    if (opened) lane.text.sort((a, b) => b.size - a.size);
  }

  #prepare(lane: Lane, request: Pending, modality: Modality, input: EncoderInput): void {
    const row = request.taken++;
    try {
      const prepared = this.#model(modality).prepare(input);
      if (prepared instanceof Promise) void this.#await(lane, request, row, prepared);
      else this.#keep(lane, request, row, prepared);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  async #await(lane: Lane, request: Pending, row: number, decoded: Promise<PreparedInput>): Promise<void> {
    lane.decoding += 1;
    try {
      this.#keep(lane, request, row, await decoded);
    } catch (error) {
      this.#fail(request, error);
    } finally {
      lane.decoding -= 1;
      this.#wake();
    }
  }

  #keep(lane: Lane, request: Pending, row: number, prepared: PreparedInput): void {
    if (prepared.kind === "pixels") {
      lane.image.push({ request, row, prepared, size: 1 });
      return;
    }
    if (prepared.truncated) request.truncated += 1;
    request.tokens += prepared.ids.length;
    lane.text.push({ request, row, prepared, size: prepared.ids.length });
  }

  #model(modality: Modality): BatchModel {
    const model = this.models[modality];
    if (model !== undefined) return model;
    throw new AttuneError("wrong_modality", `This encoder has no model for ${modality}s.`);
  }

  /** Units (tokens, images) that a run should hold. */
  #budget(modality: Modality): number {
    return Math.min(RUN_SIZES[modality].largest, RUN_TARGET_MS / this.#msPerUnit[modality]);
  }

  /** Takes images in order, or the shortest texts of the window, as many as fit the target time. */
  #takeRun(lane: Lane, modality: Modality): Item[] {
    const items = lane[modality];
    const run: Item[] = [];
    const budget = this.#budget(modality);
    const equalSizes = this.models[modality]?.equalLengths === true;
    const next = () => (modality === "text" ? items.at(-1) : items[0]);
    for (let item = next(); item !== undefined; item = next()) {
      if (!item.request.dropped) {
        const fits = (run.length + 1) * item.size <= budget;
        if (run.length > 0 && !(fits && (item.size === run[0]?.size || !equalSizes))) break;
        run.push(item);
      }
      if (modality === "text") items.pop();
      else items.shift();
    }
    return run;
  }

  async #run(run: readonly Item[]): Promise<void> {
    const modality: Modality = run[0]?.prepared.kind === "pixels" ? "image" : "text";
    const started = performance.now();
    try {
      const vectors = await this.#model(modality).embed(run.map((item) => item.prepared));
      this.#learnCost(modality, run, performance.now() - started);
      this.#deliver(run, vectors);
    } catch (error) {
      await this.#isolate(run, error);
    }
  }

  /** A batch failed: the calls in it are run one by one, so that only the one at fault fails. */
  async #isolate(run: readonly Item[], error: unknown): Promise<void> {
    const requests = new Set(run.map((item) => item.request));
    for (const request of requests) {
      if (requests.size === 1) this.#fail(request, error);
      else await this.#run(run.filter((item) => item.request === request));
    }
  }

  #learnCost(modality: Modality, run: readonly Item[], elapsedMs: number): void {
    const largest = run.at(-1)?.size ?? 1;
    const measured = elapsedMs / (run.length * largest);
    this.#msPerUnit[modality] += SMOOTHING * (measured - this.#msPerUnit[modality]);
  }

  #deliver(run: readonly Item[], vectors: Float32Array): void {
    const dimensions = this.#dimensions;
    for (const [index, { request, row }] of run.entries()) {
      if (request.dropped) continue;
      request.vectors.set(vectors.subarray(index * dimensions, (index + 1) * dimensions), row * dimensions);
      request.remaining -= 1;
      if (request.remaining > 0) continue;
      this.#pending.delete(request.id);
      const { id, vectors: rows, truncated, tokens } = request;
      this.events.onEncoded(id, rows, { truncated, tokens });
    }
  }

  #fail(request: Pending, error: unknown): void {
    if (request.dropped) return;
    this.cancel(request.id);
    this.events.onFailed(request.id, error);
  }
}
