import { availableParallelism, constants, setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { HnswEngine } from "./hnsw-engine.js";
import {
  type CallMessage,
  changesGraph,
  type EngineOptions,
  type FromWorker,
  settledMessage,
  type ToWorker,
} from "./hnsw-messages.js";
import { SearchTasks } from "./search-tasks.js";

/** A turn's time for searches, and for building that has to be waited for. Between turns messages are taken in. */
const TURN_MS = 2;
/**
 * How long rows are on their way into the graph together. Threads begin anew each time, which may take them a millisecond: with .5 ms
 * 10,000 x 512 took two threads 3.5 s, with 4 ms 1.3 s.
 */
const BATCH_MS = 16;
/** A turn's time for building that has to be waited for while searches come. */
const BUSY_BUILD_MS = 0.5;
/**
 * Without a search for so long nobody waits for the rows; and without a write too, several threads build: whoever asks for nothing does not want the
 * other cores.
 */
const QUIET_MS = 50;
const MAX_BUILDERS = 4;
const PROGRESS_EVERY_MS = 100;
/** How often a worker whose building waits for others looks whether they are done. */
const LOOK_EVERY_MS = 20;

interface Watcher {
  id: number;
  progress: boolean;
  total: number;
}

/** The loop of the worker thread: a slice of searching, rows sent to the graph, and a look at the messages between. */
class HnswWorker {
  readonly #port: MessagePort;
  readonly #engine: HnswEngine;
  #drains: Watcher[] = [];
  #rebuilds: Watcher[] = [];
  #lastProgress = 0;
  #lastSearch = 0;
  #lastWrite = 0;
  readonly #builders: number;
  readonly #busy: Int32Array | undefined;
  #look: NodeJS.Timeout | undefined;
  readonly #searches: SearchTasks;
  /** The last call that may change the graph, and whether the other thread was told of the graph as it is since. */
  #lastChange = 0;
  #told = false;
  #scheduled = false;
  #closing = false;

  constructor(port: MessagePort, options: EngineOptions) {
    this.#port = port;
    // On Linux a thread has a priority of its own; elsewhere this would slow the whole process.
    if (process.platform === "linux" && options.niceness !== 0) {
      setPriority(0, Math.min(options.niceness, constants.priority.PRIORITY_LOW));
    }
    // An index of lower priority is built beside another, which is asked.
    this.#builders = options.niceness > 0 ? 1 : Math.min(MAX_BUILDERS, availableParallelism());
    this.#busy = options.busy;
    this.#engine = new HnswEngine(options, (message) => this.#post({ type: "log", message }));
    this.#searches = new SearchTasks(this.#engine, (message) => this.#post(message));
    this.#engine.onBuilt = () => this.#schedule();
    this.#engine.onRebuilt = (result) => {
      for (const { id } of this.#rebuilds) this.#post({ type: "done", id, result });
      this.#rebuilds = [];
      this.#told = false;
      const message = `index rebuilt: ${result.points} points, ${result.reclaimed} tombstones shed, ${Math.round(result.milliseconds)} ms`;
      this.#post({ type: "log", message });
    };
    port.on("message", (message: ToWorker) => this.#receive(message));
    this.#post({ type: "ready" });
    this.#schedule();
  }

  #receive(message: ToWorker): void {
    // Searches count when they are run, and a look at the status is no request.
    // Who writes faster than the graph grows is helped by a graph that grows faster.
    const isWrite = message.type === "add" || message.type === "remove";
    if (isWrite && !this.#engine.isFarBehind) this.#lastWrite = performance.now();
    switch (message.type) {
      case "search":
        this.#searches.take(message);
        break;
      case "setEfSearch":
        this.#engine.efSearch = message.efSearch;
        break;
      case "close":
        void this.#close();
        break;
      default:
        this.#call(message);
    }
    this.#schedule();
  }

  #call(message: CallMessage): void {
    const { id } = message;
    if (changesGraph(message.type)) {
      this.#lastChange = id;
      this.#told = false;
    }
    switch (message.type) {
      case "add":
      case "remove":
        this.#engine.mutate(message.type, message.labels, (error) => this.#settle(id, error));
        break;
      case "status":
        this.#post({ type: "done", id, result: this.#engine.status() });
        break;
      case "drain":
        this.#drains.push({ id, progress: message.progress, total: this.#engine.lag });
        break;
      case "rebuild":
        this.#engine.startRebuild();
        this.#rebuilds.push({ id, progress: message.progress, total: 0 });
        break;
      case "snapshot":
        this.#engine
          .snapshot(message.sequence)
          .then(
            () => this.#settle(id),
            (error: unknown) => this.#settle(id, error),
          )
          // Building waited for the snapshot.
          .finally(() => this.#schedule());
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#closing) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#closing) return;
    if (!this.#searches.areDone) this.#lastSearch = performance.now();
    this.#searches.run(performance.now() + TURN_MS);
    const now = performance.now();
    const isPatient = this.#isPatient(now);
    if (isPatient) this.#engine.apply();
    else this.#build(now);
    this.#tellWatchers();
    if (!this.#searches.areDone || this.#engine.canApply) this.#schedule();
    else if (!this.#engine.hasWork) this.#tellOfRest();
    else if (isPatient) this.#lookSoon();
    else this.#schedule();
  }

  #build(now: number): void {
    const threads = now - Math.max(this.#lastSearch, this.#lastWrite) > QUIET_MS ? this.#builders : 1;
    const turnMs = now - this.#lastSearch > QUIET_MS ? TURN_MS : BUSY_BUILD_MS;
    this.#engine.build(threads, this.#engine.buildsAside ? BATCH_MS : turnMs);
  }

  /** Whether others want the processors more, while what waits for the graph keeps nobody waiting. */
  #isPatient(now: number): boolean {
    const areBusy = this.#busy !== undefined && Atomics.load(this.#busy, 0) > 0;
    const isWanted = this.#drains.length > 0 || this.#rebuilds.length > 0 || this.#engine.rebuilding !== undefined;
    return areBusy && !isWanted && !this.#engine.isFarBehind && now - this.#lastSearch > QUIET_MS;
  }

  #lookSoon(): void {
    this.#look ??= setTimeout(() => {
      this.#look = undefined;
      this.#schedule();
    }, LOOK_EVERY_MS);
  }

  #tellOfRest(): void {
    if (this.#told) return;
    const graph = this.#engine.share();
    if (graph === undefined) return;
    this.#told = true;
    this.#post({ type: "resting", after: this.#lastChange, graph });
  }

  #tellWatchers(): void {
    const { lag, rebuilding } = this.#engine;
    if (lag === 0) {
      for (const { id } of this.#drains) this.#settle(id);
      this.#drains = [];
    }
    if (performance.now() < this.#lastProgress + PROGRESS_EVERY_MS) return;
    this.#lastProgress = performance.now();
    for (const drain of this.#drains) {
      drain.total = Math.max(drain.total, lag);
      if (drain.progress) this.#post({ type: "progress", id: drain.id, done: drain.total - lag, total: drain.total });
    }
    for (const { id, progress } of this.#rebuilds) {
      if (progress && rebuilding !== undefined) this.#post({ type: "progress", id, ...rebuilding });
    }
  }

  #settle(id: number, error?: unknown): void {
    this.#post(settledMessage(id, error));
  }

  async #close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#look);
    await this.#engine.close();
    this.#port.close();
  }

  #post(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

if (parentPort !== null) new HnswWorker(parentPort, workerData as EngineOptions);
