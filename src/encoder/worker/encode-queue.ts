import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { Priority } from "./protocol.js";

/** The part of a text model that the queue needs. */
export interface BatchModel {
  readonly dimensions: number;
  /** True when a model has no padding mask: every text of a batch must have the same number of tokens. */
  readonly equalLengths: boolean;
  /** Embeds token rows: one row of `dimensions` numbers for each. */
  embed(rows: readonly (readonly number[])[]): Promise<Float32Array>;
}

export interface EncodeRequest {
  id: number;
  texts: readonly string[];
  priority: Priority;
}

export interface QueueEvents {
  onEncoded(id: number, vectors: Float32Array, counts: { truncated: number; tokens: number }): void;
  /** The model failed on a batch that held texts of this request. */
  onFailed(id: number, error: unknown): void;
}

interface Pending extends EncodeRequest {
  vectors: Float32Array;
  /** Texts before this one are tokenized. */
  tokenized: number;
  remaining: number;
  truncated: number;
  tokens: number;
  /** Cancelled, failed, or refused: its texts are skipped. */
  dropped: boolean;
}

interface Item {
  request: Pending;
  row: number;
  ids: readonly number[];
}

/** Requests of one priority: texts waiting, and a window of tokenized ones, longest first. */
interface Lane {
  waiting: Pending[];
  window: Item[];
  windowSize: number;
}

/** What a run should take: short enough that a query arriving behind it waits little. */
const RUN_TARGET_MS = 35;
/** Tokenizing stops after this, so that a big request cannot hold a query back. */
const TOKENIZE_SLICE_MS = 8;
/** Weight of the newest run in the estimate of a token's cost. */
const SMOOTHING = 0.2;
const FIRST_RUN_TOKENS = 256;
const LARGEST_RUN_TOKENS = 1 << 16;

/**
 * Merges requests into batches. Texts are taken window by window (so that none waits for ever), sorted by length within
 * the window (so that a batch holds little padding), and cut into runs of about RUN_TARGET_MS by the measured cost of a
 * token. Before each run waiting queries go first.
 */
export class EncodeQueue {
  readonly #lanes: Record<Priority, Lane> = {
    query: { waiting: [], window: [], windowSize: 64 },
    bulk: { waiting: [], window: [], windowSize: 512 },
  };
  readonly #pending = new Map<number, Pending>();
  #msPerToken = RUN_TARGET_MS / FIRST_RUN_TOKENS;
  #working: Promise<void> | undefined;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly model: BatchModel,
    private readonly events: QueueEvents,
  ) {}

  add(request: EncodeRequest): void {
    const pending: Pending = {
      ...request,
      vectors: new Float32Array(request.texts.length * this.model.dimensions),
      tokenized: 0,
      remaining: request.texts.length,
      truncated: 0,
      tokens: 0,
      dropped: false,
    };
    this.#pending.set(request.id, pending);
    this.#lanes[request.priority].waiting.push(pending);
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

  async #work(): Promise<void> {
    for (;;) {
      // A turn of the event loop lets messages in: queries to go first, cancellations.
      await nextTurn();
      const lane = this.#nextLane();
      if (lane === undefined) break;
      const run = this.#takeRun(lane);
      if (run.length > 0) await this.#run(run);
    }
    this.#working = undefined;
  }

  /** The lane to serve next, its window filled; undefined when nothing waits. */
  #nextLane(): Lane | undefined {
    for (const lane of [this.#lanes.query, this.#lanes.bulk]) {
      if (lane.window.length === 0) this.#fillWindow(lane);
      if (lane.window.length > 0 || lane.waiting.length > 0) return lane;
    }
    return undefined;
  }

  #fillWindow(lane: Lane): void {
    const deadline = performance.now() + TOKENIZE_SLICE_MS;
    while (lane.window.length < lane.windowSize && performance.now() < deadline) {
      const request = lane.waiting[0];
      if (request === undefined) break;
      const text = request.texts[request.tokenized];
      if (request.dropped || text === undefined) {
        lane.waiting.shift();
        continue;
      }
      this.#tokenize(lane, request, text);
    }
    lane.window.sort((a, b) => b.ids.length - a.ids.length);
  }

  #tokenize(lane: Lane, request: Pending, text: string): void {
    const row = request.tokenized++;
    try {
      const { ids, truncated } = this.tokenizer.tokenize(text);
      if (truncated) request.truncated += 1;
      request.tokens += ids.length;
      // Some tokenizers leave nothing of a text; the model still needs one token.
      lane.window.push({ request, row, ids: ids.length > 0 ? ids : [this.tokenizer.padId] });
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** Takes the shortest texts of the window, as many as fit the target time. */
  #takeRun({ window }: Lane): Item[] {
    const run: Item[] = [];
    const budget = Math.min(LARGEST_RUN_TOKENS, RUN_TARGET_MS / this.#msPerToken);
    for (let item = window.at(-1); item !== undefined; item = window.at(-1)) {
      if (!item.request.dropped) {
        const fits = (run.length + 1) * item.ids.length <= budget;
        const sameLength = item.ids.length === run[0]?.ids.length;
        if (run.length > 0 && !(fits && (sameLength || !this.model.equalLengths))) break;
        run.push(item);
      }
      window.pop();
    }
    return run;
  }

  async #run(run: readonly Item[]): Promise<void> {
    const started = performance.now();
    try {
      const vectors = await this.model.embed(run.map((item) => item.ids));
      this.#learnCost(run, performance.now() - started);
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

  #learnCost(run: readonly Item[], elapsedMs: number): void {
    const longest = run.at(-1)?.ids.length ?? 1;
    const measured = elapsedMs / (run.length * longest);
    this.#msPerToken += SMOOTHING * (measured - this.#msPerToken);
  }

  #deliver(run: readonly Item[], vectors: Float32Array): void {
    const { dimensions } = this.model;
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
