import { Worker } from "node:worker_threads";
import { AttuneError } from "../errors/index.js";
import { hasNativeFunctions, hnswlib } from "../native/index.js";
import type { SearchHits } from "../vector/index.js";
import { checkSearch } from "./checks.js";
import {
  type Calls,
  type CarriedIndex,
  changesGraph,
  type EngineOptions,
  type FromWorker,
  type HnswParameters,
  type ToWorker,
} from "./hnsw-messages.js";
import { OpenSearches } from "./open-searches.js";
import { unpackHits } from "./packed-hits.js";
import { SearchRoutes } from "./search-routes.js";
import type {
  IndexOptions,
  IndexProgress,
  IndexStatus,
  RebuildResult,
  SearchOptions,
  VectorIndex,
} from "./vector-index.js";

export interface HnswIndexOptions extends IndexOptions {
  parameters: HnswParameters;
  /** Where `snapshot` saves and opening looks. @default no snapshots: `snapshot` does nothing */
  snapshotDirectory?: string;
  /** Names what the rows are (a collection and generation, say); a snapshot with another name is refused. @default "" */
  identity?: string;
  /** The newest committed write; a snapshot that is newer is refused. @default no limit */
  lastSequence?: number;
  /**
   * How many added rows may wait for the graph before `add` waits too: each costs a comparison per query and its row
   * in memory. At opening, more than this are compared by reading the file.
   * @default 8192 (of 512 numbers 16 MiB, and about 1 ms a query); 2048 with hnswlib-node as npm builds it, which takes as long for these
   */
  maxPending?: number;
  /** Share of tombstones in the graph, from 500 on, that starts a rebuild in the background; .6 while rows wait. @default 0.3 */
  rebuildShare?: number;
  /** Added to the priority number of the index's thread (Linux): 0 normal to 19 lowest. @default 0 */
  niceness?: number;
  /**
   * Above 0 while others want the processors more (a number in shared memory): where nobody searches or waits for it, building waits too, until half of
   * `maxPending` wait. @default never
   */
  busy?: Int32Array;
  /** Searches by short walks on the calling thread while nothing changes the graph, where the build of hnswlib-node can. @default true */
  searchHere?: boolean;
  /**
   * Keeps the links of this saved index, with the vectors of `rows`, in place of our own snapshot; then `status` says `provisional`. Where
   * it cannot be used the log says why, and our own snapshot is taken. @default none
   */
  carry?: CarriedIndex;
  /** Builds from nothing, and leaves the snapshot that is there alone until its own replaces it. @default false */
  fresh?: boolean;
  log?: (message: string) => void;
  /**
   * Called with removed labels once no search can answer them any more (soon after `remove` resolves): from then on a
   * label may stand for another row, because the graph never mixes up two rows of one label.
   */
  onCompacted?: (labels: Uint32Array) => void;
}

interface OpenCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onProgress?: IndexProgress;
}

export const DEFAULT_MAX_PENDING = hasNativeFunctions(hnswlib) ? 8192 : 2048;

/** Opens an HNSW index in one worker thread: a whole index, or a shard of one. @throws as `openHnswIndex` */
export async function openHnswThread(options: HnswIndexOptions): Promise<VectorIndex> {
  const { log = () => {}, onCompacted = () => {}, ...plain } = options;
  const engine: EngineOptions = {
    identity: "",
    lastSequence: Number.POSITIVE_INFINITY,
    maxPending: DEFAULT_MAX_PENDING,
    rebuildShare: 0.3,
    niceness: 0,
    fresh: false,
    searchHere: true,
    searching: OpenSearches.everywhere,
    ...plain,
  };
  const index = new HnswIndex(engine, log, onCompacted);
  await index.ready;
  return index;
}

class HnswIndex implements VectorIndex {
  readonly ready: Promise<void>;
  readonly #dimensions: number;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #open = new Map<number, OpenCall>();
  readonly #onCompacted: (labels: Uint32Array) => void;
  readonly #searches = new OpenSearches();
  readonly #routes: SearchRoutes;
  #nextId = 1;
  #end: AttuneError | undefined;

  constructor(options: EngineOptions, log: (message: string) => void, onCompacted: (labels: Uint32Array) => void) {
    this.#onCompacted = onCompacted;
    this.#dimensions = options.rows.dimensions;
    this.#routes = new SearchRoutes(
      options,
      (message, transfer) => this.#post(message, transfer),
      (id, hits) => this.#take(id)?.resolve([hits]),
    );
    this.#worker = new Worker(new URL("./hnsw-worker.js", import.meta.url), {
      workerData: options,
    });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.ready = new Promise((resolve, reject) => this.#open.set(0, { resolve: () => resolve(), reject }));
    this.#worker.on("message", (message: FromWorker) => {
      if (message.type === "log") log(message.message);
      else this.#receive(message);
    });
    this.#worker.once("error", (cause) => this.#die(cause));
    this.#worker.once("exit", (code) => this.#die(new Error(`its thread ended with code ${code}`)));
  }

  async add(labels: Uint32Array): Promise<void> {
    await this.#mutate("add", labels);
  }

  async remove(labels: Uint32Array): Promise<void> {
    const removed = labels.slice();
    await this.#mutate("remove", removed);
    // A search that began before may still answer them.
    this.#searches.afterwards(() => this.#compacted(removed));
  }

  async search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]> {
    checkSearch(queries, count, this.#dimensions, options);
    if (this.#end !== undefined) throw this.#end;
    const hits = this.#routes.searchHere(queries, count, options);
    if (hits !== undefined) return [hits];
    const answer = this.#send((id) => this.#routes.send(id, queries, count, options));
    return this.#searches.track(answer as Promise<SearchHits[]>);
  }

  status(): Promise<IndexStatus> {
    return this.#call("status", {});
  }

  setEfSearch(efSearch: number): void {
    this.#routes.efSearch = efSearch;
    this.#post({ type: "setEfSearch", efSearch });
  }

  async drain(onProgress?: IndexProgress): Promise<void> {
    await this.#call("drain", { progress: onProgress !== undefined }, onProgress);
  }

  rebuild(onProgress?: IndexProgress): Promise<RebuildResult> {
    return this.#call("rebuild", { progress: onProgress !== undefined }, onProgress);
  }

  async snapshot(sequence: number): Promise<void> {
    await this.#call("snapshot", { sequence });
  }

  async close(): Promise<void> {
    if (this.#end === undefined) {
      this.#post({ type: "close" });
      this.#finish(new AttuneError("shutting_down", "the index is closed; open it again to use it"));
    }
    await this.#exited;
  }

  /** No labels, as a shard often gets, wake no thread; that it is open is asked all the same. */
  async #mutate(type: "add" | "remove", labels: Uint32Array): Promise<void> {
    if (labels.length > 0 || this.#end !== undefined) await this.#call(type, { labels });
  }

  #call<T extends keyof Calls>(
    type: T,
    fields: Calls[T]["arguments"],
    onProgress?: IndexProgress,
  ): Promise<Calls[T]["result"]> {
    return this.#send((id) => {
      // Searches called before this call are before it in the worker too.
      this.#routes.flush();
      if (changesGraph(type)) this.#routes.change(id);
      this.#post({ type, id, ...fields } as unknown as ToWorker);
    }, onProgress) as Promise<Calls[T]["result"]>;
  }

  #send(post: (id: number) => void, onProgress?: IndexProgress): Promise<unknown> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject, onProgress });
      post(id);
    });
  }

  #post(message: ToWorker, transfer?: ArrayBuffer[]): void {
    if (this.#end !== undefined) return;
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: Exclude<FromWorker, { type: "log" }>): void {
    switch (message.type) {
      case "ready":
        this.#take(0)?.resolve(undefined);
        break;
      case "hits":
        for (const { id, hits } of unpackHits(message.packed)) this.#take(id)?.resolve(hits);
        break;
      case "resting":
        this.#routes.rest(message);
        break;
      case "progress":
        this.#open.get(message.id)?.onProgress?.({ done: message.done, total: message.total });
        break;
      case "done":
        this.#take(message.id)?.resolve(message.result);
        break;
      case "failed":
        this.#take(message.id)?.reject(new AttuneError(message.code, message.message));
    }
  }

  #take(id: number): OpenCall | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    return call;
  }

  #compacted(labels: Uint32Array): void {
    if (this.#end === undefined) this.#onCompacted(labels);
  }

  /** The thread ended without being asked to. */
  #die(cause: Error): void {
    if (this.#end !== undefined) return;
    const what = this.#open.has(0) ? "the index cannot be opened" : "the index has died, and must be opened again";
    this.#finish(new AttuneError("internal", `${what}: ${cause.message}`, { cause }));
  }

  #finish(end: AttuneError): void {
    this.#end = end;
    for (const { reject } of this.#open.values()) reject(end);
    this.#open.clear();
  }
}
