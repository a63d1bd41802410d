import { hasNativeFunctions, hnswlib } from "../native/index.js";
import { keptMemory, metricOf, type SearchHits, TopK, tiesAscend } from "../vector/index.js";
import { Bitmap } from "./bitmap.js";
import { carryGraph } from "./carry/carry-graph.js";
import { type Builders, HnswGraph, hnswDistance } from "./hnsw-graph.js";
import type { EngineOptions, SearchRequest } from "./hnsw-messages.js";
import { JoinedScans } from "./joined-scans.js";
import { LabelQueue } from "./label-queue.js";
import { isNearTie } from "./near-tie.js";
import { PendingRows } from "./pending-rows.js";
import type { SharedGraph } from "./resting-graph.js";
import { RowFile } from "./row-file.js";
import { GraphRows } from "./scanned-rows.js";
import { NATIVE_COSTS, planSearch, STOCK_COSTS } from "./search-plan.js";
import { loadSnapshot, writeSnapshot } from "./snapshot.js";
import type { IndexStatus, RebuildResult } from "./vector-index.js";

/** Tombstones below this number never start a rebuild by themselves. */
const REBUILD_MINIMUM = 500;
/** While rows wait for the graph, a rebuild would slow them down to a third; it waits for this share of tombstones. */
const BUSY_REBUILD_SHARE = 0.6;
/** Rows read and taken in at once: of 512 numbers about half a millisecond. */
const ROWS_APPLIED = 256;
/** The most rows of a thread that are on their way into a graph. */
const MOST_ROWS_PER_THREAD = 512;
/** Until it is known, milliseconds that a thread takes for a row. */
const FIRST_ROW_MS = 0.5;

interface Mutation {
  kind: "add" | "remove";
  labels: Uint32Array;
  /** How many of the labels are done. */
  done: number;
  settle(error?: unknown): void;
}

/** Rows on their way into a graph. */
interface Batch {
  graph: HnswGraph;
  arrived: Promise<void>;
}

interface Rebuild {
  graph: HnswGraph;
  todo: LabelQueue;
  total: number;
  startedAt: number;
}

/**
 * The HNSW index of one thread: a graph, the rows that are not in it yet, and the work of getting them there in
 * batches. A live label is in exactly one of four places: the graph; `entering` (its row in memory, and on its way into the graph); `pending` (its row
 * in memory); or `backlog` (its row read from the file when needed), which is filled at opening only. Searches look into all four.
 */
export class HnswEngine {
  readonly #options: EngineOptions;
  readonly #rows: RowFile;
  readonly #live = new Bitmap();
  #liveCount = 0;
  #graph: HnswGraph;
  #provisional: boolean;
  readonly #pending: PendingRows;
  readonly #entering: PendingRows;
  #backlog: LabelQueue;
  #rebuild: Rebuild | undefined;
  #mutations: Mutation[] = [];
  readonly #scans: JoinedScans;
  #writing: Promise<void> | undefined;
  #batch: Batch | undefined;
  #batches = 0;
  #rowMs = FIRST_ROW_MS;
  #closed = false;
  readonly #costs = hasNativeFunctions(hnswlib) ? NATIVE_COSTS : STOCK_COSTS;
  readonly #nativeDistance: (a: Float32Array, b: Float32Array) => number;
  #efSearch: number;
  /** How many rows may wait in memory before writers wait too; `maxPending` at most. */
  mostWaiting: number;
  /** Called when so many rows have arrived in a graph, with how long they took. */
  onBuilt: (rows: number, milliseconds: number) => void = () => {};
  /** Called with what a finished rebuild did. */
  onRebuilt: (result: RebuildResult) => void = () => {};

  constructor(options: EngineOptions, log: (message: string) => void) {
    this.#options = options;
    this.#efSearch = options.parameters.efSearch;
    this.mostWaiting = options.maxPending;
    const space = metricOf(options.metric);
    const { dimensions } = options.rows;
    this.#rows = new RowFile(options.rows, space);
    this.#scans = new JoinedScans(new GraphRows(() => this.#graph, this.#rows));
    this.#nativeDistance = hnswDistance(space, dimensions);
    this.#pending = new PendingRows(dimensions, space, options.maxPending);
    this.#entering = new PendingRows(dimensions, space, MOST_ROWS_PER_THREAD);
    const { labels, sequences } = options.live;
    for (const label of labels) this.#live.set(label);
    this.#liveCount = this.#live.count();
    const snapshot = carryGraph(options, this.#rows, log) ?? loadSnapshot(options, this.#rows, this.#live, log);
    this.#provisional = snapshot?.provisional ?? false;
    this.#graph = snapshot?.graph ?? this.#newGraph();
    const missing = new Bitmap();
    labels.forEach((label, i) => {
      if (snapshot !== undefined && this.#graph.has(label) && (sequences[i] as number) <= snapshot.sequence) return;
      this.#graph.remove(label);
      missing.set(label);
    });
    for (const label of this.#graph.labels()) if (!this.#live.has(label)) this.#graph.remove(label);
    this.#backlog = new LabelQueue(missing);
    this.#loadSmallBacklog();
    this.#rebuildIfWorn();
  }

  get lag(): number {
    return this.#pending.size + this.#entering.size + this.#backlog.count;
  }

  get rebuilding(): { done: number; total: number } | undefined {
    if (this.#rebuild === undefined) return undefined;
    const total = Math.max(this.#rebuild.total, this.#rebuild.todo.count);
    return { done: total - this.#rebuild.todo.count, total };
  }

  /** Whether so many rows wait for the graph that writers soon wait for it too. */
  get isFarBehind(): boolean {
    return this.lag > this.mostWaiting / 2;
  }

  /** Whether `build` has something to do now. */
  get hasWork(): boolean {
    return this.canApply || this.#canBuild;
  }

  /** Whether there are changes to take in, and room for them. */
  get canApply(): boolean {
    return this.#mutations.length > 0 && this.#room > 0;
  }

  /** Whether searches need not wait while rows are built into a graph. */
  get buildsAside(): boolean {
    return this.#graph.addsAside;
  }

  /** How many more rows may wait in memory. */
  get #room(): number {
    return Math.max(0, this.mostWaiting - this.#pending.size - this.#entering.size);
  }

  get #canBuild(): boolean {
    const isFree = this.#writing === undefined && this.#batch === undefined;
    return isFree && (this.lag > 0 || this.#rebuild !== undefined);
  }

  set efSearch(efSearch: number) {
    this.#efSearch = efSearch;
  }

  status(): IndexStatus {
    return {
      points: this.#liveCount,
      tombstones: this.#graph.tombstones,
      lag: this.lag,
      provisional: this.#provisional,
      bytesInMemory:
        this.#graph.bytes() + (this.#rebuild?.graph.bytes() ?? 0) + this.#pending.bytes + this.#entering.bytes,
    };
  }

  /**
   * The graph for other threads to search, when it holds all that is live and nothing waits to change it; undefined otherwise. (A rebuild
   * leaves it alone until its end.)
   */
  share(): SharedGraph | undefined {
    const isIdle = this.#mutations.length === 0 && this.#batch?.graph !== this.#graph;
    const resting = !this.#closed && this.lag === 0 && isIdle;
    return resting ? this.#graph.share() : undefined;
  }

  /** Adds or removes labels, after all earlier mutations; `settle` is called when searches see it, or with an error. */
  mutate(kind: "add" | "remove", labels: Uint32Array, settle: (error?: unknown) => void): void {
    this.#mutations.push({ kind, labels, done: 0, settle });
    this.#applyMutations();
  }

  /** Takes in some rows that wait for room. */
  apply(): void {
    if (this.canApply) this.#applyMutations();
  }

  /**
   * Takes in some rows that wait for room, and unless rows are on their way into a graph, sends some there: as many as the builders are expected to
   * take `ms` milliseconds for, at least one. Where it does not `buildsAside` they are there when this returns.
   */
  build(builders: Builders, ms: number): void {
    this.apply();
    if (!this.#canBuild) return;
    const limit = builders.threads * Math.min(MOST_ROWS_PER_THREAD, Math.max(1, Math.round(ms / this.#rowMs)));
    const rebuild = this.#rebuild;
    // Two batches for the rebuild to one for the lag, so that a rebuild ends even under a steady stream of writes.
    if (rebuild !== undefined && (this.lag === 0 || this.#batches++ % 3 !== 0)) {
      const some = rebuild.todo.takeSome(this.#rows, limit);
      if (some.labels.length === 0) this.#finishRebuild(rebuild);
      else this.#send(rebuild.graph, some, builders);
      return;
    }
    const some = this.#pending.size > 0 ? this.#pending.take(limit) : this.#backlog.takeSome(this.#rows, limit);
    for (const [i, label] of some.labels.entries()) this.#entering.set(label, this.#rowOf(some.rows, i));
    if (some.labels.length > 0) this.#send(this.#graph, some, builders);
  }

  /**
   * Begins a rebuild, unless one is under way. The new graph takes every live row; what is added or removed meanwhile
   * reaches both graphs.
   */
  startRebuild(): void {
    if (this.#rebuild !== undefined) return;
    const todo = new LabelQueue(this.#live.clone());
    this.#rebuild = { graph: this.#newGraph(), todo, total: todo.count, startedAt: performance.now() };
  }

  /** Saves the graph as of `sequence`, unless it is provisional; building waits meanwhile, searches and mutations do not. */
  async snapshot(sequence: number): Promise<void> {
    while (this.#writing !== undefined || this.#batch !== undefined)
      await (this.#batch?.arrived ?? this.#writing?.catch(() => {}));
    const { snapshotDirectory } = this.#options;
    if (snapshotDirectory === undefined || this.#provisional || this.#closed) return;
    this.#writing = writeSnapshot(snapshotDirectory, this.#graph, sequence, this.#options);
    try {
      await this.#writing;
    } finally {
      this.#writing = undefined;
    }
  }

  /** Waits for rows on their way and for a snapshot being written (hnswlib's thread reads the graph), and closes the row file. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#batch?.arrived;
    await this.#writing?.catch(() => {});
    this.#rows.close();
  }

  /** A search in short steps, so that its thread can do other things between them; it returns the hits of each query. */
  *search(request: SearchRequest): Generator<undefined, SearchHits[]> {
    const { queries, allow } = request;
    const { dimensions } = this.#rows;
    const count = queries.length / dimensions;
    this.#rows.space.preprocess(queries, dimensions);
    const matches = allow === undefined ? this.#liveCount : allow.countAnd(this.#live);
    const k = Math.min(request.k, matches);
    if (k === 0) return Array.from({ length: count }, noHits);
    const breadth = Math.max(request.efSearch ?? this.#efSearch, k);
    const { exact = false } = request;
    const shape = { dimensions, matches, live: this.#liveCount, breadth, filtered: allow !== undefined, exact };
    if (planSearch(shape, this.#costs).compares) return yield* this.#scans.search(this.#live, allow, queries, k);

    // The backlog first: what moves from it into the graph meanwhile is found twice, never not at all.
    const backlog = this.#backlog.count > 0 ? this.#backlog.labels : undefined;
    const early = backlog && (yield* this.#scans.search(backlog, allow, queries, k));
    const hits: SearchHits[] = [];
    for (let i = 0; i < count; i++) {
      const query = queries.subarray(i * dimensions, (i + 1) * dimensions);
      hits.push(this.#searchGraph(query, k, breadth, allow, early?.[i]));
      yield;
    }
    return yield* this.#completeShort(hits, queries, k, allow);
  }

  /** Scans for the queries that the graph gave fewer than `k` hits: it does not promise to reach every point. */
  *#completeShort(
    hits: SearchHits[],
    queries: Float32Array,
    k: number,
    allow: Bitmap | undefined,
  ): Generator<undefined, SearchHits[]> {
    const { dimensions } = this.#rows;
    const short = [...hits.keys()].filter((i) => (hits[i] as SearchHits).labels.length < k);
    if (short.length === 0) return hits;
    const again = new Float32Array(short.length * dimensions);
    for (const [position, i] of short.entries()) {
      again.set(queries.subarray(i * dimensions, (i + 1) * dimensions), position * dimensions);
    }
    const complete = yield* this.#scans.search(this.#live, allow, again, k);
    for (const [position, i] of short.entries()) hits[i] = complete[position] as SearchHits;
    return hits;
  }

  #searchGraph(query: Float32Array, k: number, breadth: number, allow?: Bitmap, early?: SearchHits): SearchHits {
    const found = this.#graph.search(query, k, breadth, allow);
    const areInGraph = this.#pending.size === 0 && this.#entering.size === 0 && early === undefined;
    if (areInGraph && tiesAscend(found)) return found;
    const top = new TopK(k);
    this.#pending.search(query, top, allow);
    this.#entering.search(query, top, allow);
    early?.labels.forEach((label, i) => {
      // What has left the backlog since the scan is in the graph, has been replaced, or is gone.
      if (this.#backlog.labels.has(label)) top.push(label, early.distances[i] as number);
    });
    const compared = top.sorted();
    const merged = new TopK(k);
    for (let i = 0; i < found.labels.length; i++) merged.push(found.labels[i] as number, found.distances[i] as number);
    for (let i = 0; i < compared.labels.length; i++) {
      const label = compared.labels[i] as number;
      merged.push(label, this.#comparable(label, compared.distances[i] as number, query, found.distances));
    }
    return merged.sorted();
  }

  /**
   * The distance of a compared row, in hnswlib's arithmetic when a hit of the graph is as far within rounding: two
   * equal rows, one in the graph and one not, must tie.
   */
  #comparable(label: number, distance: number, query: Float32Array, graphDistances: Float64Array): number {
    if (this.#pending.asInGraph || !graphDistances.some((other) => isNearTie(other, distance))) return distance;
    const row = this.#pending.has(label) ? this.#pending.row(label) : this.#rows.read([label]);
    return this.#nativeDistance(query, row);
  }

  #send(graph: HnswGraph, { labels, rows }: { labels: number[]; rows: Float32Array }, builders: Builders): void {
    const started = performance.now();
    const arrived = graph.addAll(labels, rows, builders).then(() => {
      const milliseconds = performance.now() - started;
      this.#rowMs = (milliseconds * builders.threads) / labels.length;
      this.#entering.clear();
      this.#batch = undefined;
      this.onBuilt(labels.length, milliseconds);
    });
    this.#batch = { graph, arrived };
  }

  #finishRebuild(rebuild: Rebuild): void {
    const old = this.#graph;
    const reclaimed = old.tombstones;
    this.#graph = rebuild.graph;
    this.#provisional = false;
    old.free();
    this.#pending.clear();
    this.#backlog = new LabelQueue(new Bitmap());
    this.#rebuild = undefined;
    const milliseconds = performance.now() - rebuild.startedAt;
    this.onRebuilt({ points: this.#graph.live, reclaimed, milliseconds });
    this.#rebuildIfWorn();
  }

  #rebuildIfWorn(): void {
    // Whoever opened a provisional graph sees to a new one.
    if (this.#provisional) return;
    const { tombstones, nodes } = this.#graph;
    const { rebuildShare } = this.#options;
    const share = this.lag === 0 ? rebuildShare : Math.max(rebuildShare, BUSY_REBUILD_SHARE);
    if (tombstones >= REBUILD_MINIMUM && tombstones > nodes * share) this.startRebuild();
  }

  #applyMutations(): void {
    while (this.#mutations.length > 0) {
      const mutation = this.#mutations[0] as Mutation;
      try {
        if (!(mutation.kind === "add" ? this.#applyAdd(mutation) : this.#applyRemove(mutation))) return;
        mutation.settle();
      } catch (error) {
        mutation.settle(error);
      }
      this.#mutations.shift();
    }
    this.#rebuildIfWorn();
  }

  /** Takes some rows, if there is room; true when the mutation is complete. */
  #applyAdd(mutation: Mutation): boolean {
    const labels = mutation.labels.subarray(mutation.done, mutation.done + Math.min(this.#room, ROWS_APPLIED));
    const memory = keptMemory.takeFloats(labels.length * this.#rows.dimensions);
    const rows = this.#rows.read(labels, memory);
    labels.forEach((label, i) => {
      this.#forget(label);
      this.#pending.set(label, this.#rowOf(rows, i));
      this.#rebuild?.todo.set(label);
      this.#live.set(label);
      this.#liveCount++;
    });
    this.#scans.added();
    keptMemory.giveBack(memory);
    mutation.done += labels.length;
    return mutation.done === mutation.labels.length;
  }

  #applyRemove(mutation: Mutation): boolean {
    for (const label of mutation.labels) this.#forget(label);
    return true;
  }

  /** Takes a label out of wherever it is. */
  #forget(label: number): void {
    if (!this.#live.has(label)) return;
    this.#scans.removed(label);
    this.#live.clear(label);
    this.#liveCount--;
    this.#graph.remove(label);
    this.#pending.delete(label);
    this.#entering.delete(label);
    this.#backlog.clear(label);
    this.#rebuild?.todo.clear(label);
    this.#rebuild?.graph.remove(label);
  }

  /** A backlog that fits is better held in memory than read from the file by each query. */
  #loadSmallBacklog(): void {
    if (this.#backlog.count > this.#options.maxPending) return;
    for (let next = this.#backlog.take(this.#rows); next !== undefined; next = this.#backlog.take(this.#rows)) {
      this.#pending.set(next.label, next.row);
    }
  }

  #rowOf(rows: Float32Array, i: number): Float32Array {
    return rows.subarray(i * this.#rows.dimensions, (i + 1) * this.#rows.dimensions);
  }

  #newGraph(): HnswGraph {
    const { m, efConstruction } = this.#options.parameters;
    const capacity = Math.ceil(this.#liveCount * 1.1) + 1024;
    return HnswGraph.create(this.#rows.space, this.#rows.dimensions, { m, efConstruction }, capacity);
  }
}

function noHits(): SearchHits {
  return { labels: new Uint32Array(0), distances: new Float64Array(0) };
}
