import { availableParallelism } from "node:os";
import type { Builders } from "./hnsw-graph.js";
import type { EngineOptions } from "./hnsw-messages.js";

/**
 * How long rows are on their way into the graph together. Threads begin anew each time, which may take them a millisecond: with .5 ms
 * 10,000 x 512 took two threads 3.5 s, with 4 ms 1.3 s.
 */
const BATCH_MS = 16;
/** A turn's time for building that has to be waited for; and while searches come. */
const TURN_MS = 2;
const BUSY_TURN_MS = 0.5;
/**
 * Without a search for so long nobody waits for the rows; and without a write too, several threads build: whoever asks for nothing does not want the
 * other cores.
 */
const QUIET_MS = 50;
const MAX_THREADS = 4;
/** For so long after a search fewer rows may wait than there is room for. */
const SEARCHED_MS = 1000;
/**
 * As many as have so many bytes: each search compares with all of them (beside a build it takes .9 ms with 2,048 x 512, and 1.5 ms with 8,192). But no fewer
 * rows than the threads that build need, not to wait for writers.
 */
const SEARCHED_BYTES = 4 * 1024 * 1024;
const SEARCHED_ROWS = 512;
/** How often it is looked whether those who want the processors more are done. */
const LOOK_EVERY_MS = 20;
/** The longest rest between rows for a graph that nobody waits for, while searches are under way. */
const MOST_REST_MS = 100;

/** The work of an index that rows wait for. */
export interface WaitingRows {
  /** Somebody waits for the end of it. */
  areWanted: boolean;
  /** There are so many that writers soon wait too. */
  areFarBehind: boolean;
  /** All are for a graph that takes the place of another, which is complete. */
  areForLater: boolean;
}

/**
 * When rows are built into an index's graph, by how many threads, how many at a time, and how many may wait: what can wait gives way to who searches, writes
 * or embeds.
 */
export class BuildPace {
  readonly #isBackground: boolean;
  readonly #most: number;
  readonly #maxPending: number;
  readonly #rowBytes: number;
  readonly #busy: Int32Array | undefined;
  readonly #searching: Int32Array;
  #lastSearch = Number.NEGATIVE_INFINITY;
  #lastWrite = Number.NEGATIVE_INFINITY;
  #restsUntil = 0;

  constructor(options: Pick<EngineOptions, "niceness" | "busy" | "searching" | "maxPending" | "rows">) {
    const { niceness, busy, searching, maxPending, rows } = options;
    // An index of lower priority is built beside another, which is asked.
    this.#isBackground = niceness > 0;
    this.#most = this.#isBackground ? 1 : Math.min(MAX_THREADS, availableParallelism());
    this.#maxPending = maxPending;
    this.#rowBytes = rows.dimensions * Float32Array.BYTES_PER_ELEMENT;
    this.#busy = busy;
    this.#searching = searching;
  }

  /** This index is searched. All times are milliseconds of `performance.now()`. */
  searched(now: number): void {
    this.#lastSearch = now;
  }

  /** Somebody writes, and would write faster with more of the processors. */
  wrote(now: number): void {
    this.#lastWrite = now;
  }

  /** Rows took so long into the graph. */
  built(now: number, milliseconds: number): void {
    this.#restsUntil = now + Math.min(milliseconds, MOST_REST_MS);
  }

  /** How long to wait for others before it is built, or asked again: 0 for not at all. */
  pauseMs(now: number, rows: WaitingRows): number {
    if (this.#isPatient(now, rows)) return LOOK_EVERY_MS;
    return this.#isDisturbing(rows) ? Math.max(0, this.#restsUntil - now) : 0;
  }

  /** How many rows may wait before writers do. */
  mostWaiting(now: number): number {
    if (now - this.#lastSearch > SEARCHED_MS) return this.#maxPending;
    const most = Math.max(SEARCHED_ROWS, Math.floor(SEARCHED_BYTES / this.#rowBytes));
    return Math.min(this.#maxPending, most);
  }

  builders(now: number): Builders {
    const isQuiet = now - Math.max(this.#lastSearch, this.#lastWrite) > QUIET_MS;
    return { threads: isQuiet ? this.#most : 1, giveWay: this.#isSearched(now) || this.#areSearching };
  }

  /** @param aside whether the thread of the index does something else meanwhile */
  milliseconds(now: number, aside: boolean): number {
    if (aside) return BATCH_MS;
    return this.#isSearched(now) ? BUSY_TURN_MS : TURN_MS;
  }

  #isSearched(now: number): boolean {
    return now - this.#lastSearch <= QUIET_MS;
  }

  /** Whether encoders want the processors more, while what waits keeps nobody waiting. */
  #isPatient(now: number, { areWanted, areFarBehind }: WaitingRows): boolean {
    const areBusy = this.#busy !== undefined && Atomics.load(this.#busy, 0) > 0;
    return areBusy && !areWanted && !areFarBehind && !this.#isSearched(now);
  }

  /**
   * Whether searches are under way, and what is built is for later: it then rests as long as it works. A low priority is not enough: who wakes up
   * goes to a processor that has nothing to do, and waits in line where all have something, of whatever priority.
   */
  #isDisturbing({ areForLater }: WaitingRows): boolean {
    return (this.#isBackground || areForLater) && this.#areSearching;
  }

  /** Whether any index of the process is searched right now. */
  get #areSearching(): boolean {
    return Atomics.load(this.#searching, 0) > 0;
  }
}
