import { constants, setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { BuildPace, type WaitingRows } from "./build-pace.js";
import { HnswEngine } from "./hnsw-engine.js";
import {
  type CallMessage,
  changesGraph,
  type EngineOptions,
  type FromWorker,
  settledMessage,
  type ToWorker,
} from "./hnsw-messages.js";
import { MemoryTrim } from "./memory-trim.js";
import { SearchTasks } from "./search-tasks.js";

/** A turn's time for searches. Between turns messages are taken in. */
const TURN_MS = 2;
const PROGRESS_EVERY_MS = 100;

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
  readonly #pace: BuildPace;
  readonly #trim = new MemoryTrim();
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
    this.#pace = new BuildPace(options);
    this.#engine = new HnswEngine(options, (message) => this.#post({ type: "log", message }));
    this.#searches = new SearchTasks(this.#engine, (message) => this.#post(message));
    // Opening it has left memory behind too, or what it takes the place of, after a fine-tune say.
    const rowBytes = options.rows.dimensions * Float32Array.BYTES_PER_ELEMENT;
    this.#trim.came(options.live.labels.length * rowBytes);
    this.#engine.onBuilt = (rows, milliseconds) => {
      this.#pace.built(performance.now(), milliseconds);
      this.#trim.came(rows * rowBytes);
      this.#schedule();
    };
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
    if (isWrite && !this.#engine.isFarBehind) this.#pace.wrote(performance.now());
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
    if (!this.#searches.areDone) this.#pace.searched(performance.now());
    this.#searches.run(performance.now() + TURN_MS);
    const now = performance.now();
    this.#engine.mostWaiting = this.#pace.mostWaiting(now);
    const pause = this.#pace.pauseMs(now, this.#waitingRows());
    if (pause > 0) this.#engine.apply();
    else this.#engine.build(this.#pace.builders(now), this.#pace.milliseconds(now, this.#engine.buildsAside));
    this.#tellWatchers();
    if (!this.#searches.areDone || this.#engine.canApply) this.#schedule();
    else if (!this.#engine.hasWork) this.#tellOfRest();
    else if (pause > 0) this.#lookAfter(pause);
    else this.#schedule();
  }

  #waitingRows(): WaitingRows {
    const { rebuilding, lag, isFarBehind } = this.#engine;
    return {
      areWanted: this.#drains.length > 0 || this.#rebuilds.length > 0 || rebuilding !== undefined,
      areFarBehind: isFarBehind,
      areForLater: rebuilding !== undefined && lag === 0,
    };
  }

  #lookAfter(ms: number): void {
    this.#look ??= setTimeout(() => {
      this.#look = undefined;
      this.#schedule();
    }, ms);
  }

  #tellOfRest(): void {
    if (this.#told) return;
    this.#trim.rests();
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
    this.#trim.stop();
    await this.#engine.close();
    this.#port.close();
  }

  #post(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

if (parentPort !== null) new HnswWorker(parentPort, workerData as EngineOptions);
