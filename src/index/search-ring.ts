import type { SearchHits } from "../vector/index.js";
import { hasNativeSearch, hnswlib } from "./hnswlib.js";

/** Searches that can be under way at once; a power of two. */
const SLOTS = 64;
/** Hits that a slot has room for. */
const MOST_HITS = 128;

/**
 * How long the thread waits for something to do before it sleeps. An idle processor takes longer to wake than a short walk takes: of 0, 50, 200, 500 and 1500,
 * 500 was measured best at 2, 8 and 32 clients together.
 */
const AWAKE_US = 500;

/**
 * So many searches are told of together, and so many answers, or at the end of a turn those that there are: a thread that is woken for each one
 * sleeps again after each. Of 1, 2, 4 and all, 4 was measured best at 8 and at 32 clients.
 */
const TOGETHER = 4;

/** Places in `control`; behind them the slots that were asked, one after the other and around again, and those that were answered. */
const ASKED = 0;
const ANSWERED = 1;
const AWAKE = 2;
const TOLD = 3;
const EVENTS = 4;
const ASKED_SLOTS = 5;
const ANSWERED_SLOTS = ASKED_SLOTS + SLOTS;

/** What a slot says in `calls`: float64, which counts calls for longer than 32 bits would. */
const ID = 0;
const K = 1;
const BREADTH = 2;
const FOUND = 3;
const CALL_WORDS = 4;

/** Shared by an index and its thread. */
export interface RingMemory {
  dimensions: number;
  control: Int32Array;
  calls: Float64Array;
  queries: Float32Array;
  labels: Uint32Array;
  distances: Float64Array;
}

/** A search as the thread finds it. */
export interface AskedSearch {
  slot: number;
  id: number;
  /** Its own until it is answered. */
  query: Float32Array;
  k: number;
  efSearch: number;
}

/**
 * The index's side of searches that travel through shared memory: of one query, without filter. A message between threads costs more than a
 * short walk, so there is one only when the other side sleeps: each says before it does, and looks once more after it said so.
 */
export class SearchRing {
  readonly memory: RingMemory;
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  #asked = 0;
  #taken = 0;
  /** Asked since the thread was last seen to be awake. */
  #untold = 0;

  constructor(dimensions: number) {
    const words = (count: number) => new SharedArrayBuffer(count * 4);
    this.memory = {
      dimensions,
      control: new Int32Array(words(ANSWERED_SLOTS + SLOTS)),
      calls: new Float64Array(words(SLOTS * CALL_WORDS * 2)),
      queries: new Float32Array(words(SLOTS * dimensions)),
      labels: new Uint32Array(words(SLOTS * MOST_HITS)),
      distances: new Float64Array(words(SLOTS * MOST_HITS * 2)),
    };
  }

  /**
   * Asks the thread, if a slot is free and has room for the hits; the query is copied.
   *
   * @param id from 1 on
   */
  ask(id: number, query: Float32Array, k: number, efSearch: number): boolean {
    const slot = k <= MOST_HITS ? this.#free.pop() : undefined;
    if (slot === undefined) return false;
    const { control, calls, queries, dimensions } = this.memory;
    calls[slot * CALL_WORDS + ID] = id;
    calls[slot * CALL_WORDS + K] = k;
    calls[slot * CALL_WORDS + BREADTH] = efSearch;
    queries.set(query, slot * dimensions);
    control[ASKED_SLOTS + (this.#asked++ & (SLOTS - 1))] = slot;
    Atomics.store(control, ASKED, this.#asked | 0);
    this.nudge();
    this.#untold++;
    return true;
  }

  /** The thread has something to do; to be called with each message to it. */
  nudge(): void {
    Atomics.add(this.memory.control, EVENTS, 1);
  }

  /** True when the thread sleeps and has to be woken by a message now: for enough searches, or at the end of a turn for any. */
  mustWake(isEndOfTurn: boolean): boolean {
    if (this.#untold < (isEndOfTurn ? 1 : TOGETHER)) return false;
    this.#untold = 0;
    return Atomics.exchange(this.memory.control, AWAKE, 1) === 0;
  }

  /** Whether the search just asked is the first that the thread may have to be woken for. */
  get isFirst(): boolean {
    return this.#untold === 1;
  }

  /** Whether a search is under way. */
  get isOpen(): boolean {
    return this.#free.length < SLOTS;
  }

  /** The place in shared memory that changes with the next answer, and what stands there until then. */
  get nextAnswer(): [numbers: Int32Array, index: number, value: number] {
    return [this.memory.control, ANSWERED, this.#taken | 0];
  }

  /** Keeps the thread from telling of its answers, until `takeAnswers`: somebody looks for them (`takeWatched`). */
  startWatch(): void {
    Atomics.store(this.memory.control, TOLD, 1);
  }

  /** Gives away the answers that are there, when a message has told of some, or a watch ends. */
  takeAnswers(give: (id: number, hits: SearchHits) => void): void {
    Atomics.store(this.memory.control, TOLD, 0);
    this.takeWatched(give);
  }

  /** Gives away the answers that are there, during a watch; returns how many. */
  takeWatched(give: (id: number, hits: SearchHits) => void): number {
    const { control, calls, labels, distances } = this.memory;
    const before = this.#taken;
    while ((this.#taken | 0) !== Atomics.load(control, ANSWERED)) {
      const slot = control[ANSWERED_SLOTS + (this.#taken++ & (SLOTS - 1))] as number;
      const id = calls[slot * CALL_WORDS + ID] as number;
      const from = slot * MOST_HITS;
      const to = from + (calls[slot * CALL_WORDS + FOUND] as number);
      const hits = { labels: labels.slice(from, to), distances: distances.slice(from, to) };
      this.#release(slot);
      give(id, hits);
    }
    return this.#taken - before;
  }

  /** Frees the slot of a search that has failed, of which a message tells. */
  failed(id: number): void {
    const { calls } = this.memory;
    for (let slot = 0; slot < SLOTS; slot++) if (calls[slot * CALL_WORDS + ID] === id) this.#release(slot);
  }

  #release(slot: number): void {
    this.memory.calls[slot * CALL_WORDS + ID] = 0;
    this.#free.push(slot);
  }
}

/** The thread's side. */
export class SearchRingThread {
  readonly #memory: RingMemory;
  #taken = 0;
  #answered = 0;
  /** Of the events, searches that were taken and messages that have come. */
  #seen = 0;
  /** Answered since the index was last told. */
  #untold = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#memory.control, ASKED) === (this.#taken | 0);
  }

  /** The next search asked. */
  take(): AskedSearch | undefined {
    if (this.isEmpty) return undefined;
    this.#seen++;
    const { control, calls, queries, dimensions } = this.#memory;
    const slot = control[ASKED_SLOTS + (this.#taken++ & (SLOTS - 1))] as number;
    const said = (word: number) => calls[slot * CALL_WORDS + word] as number;
    const query = queries.subarray(slot * dimensions, (slot + 1) * dimensions);
    return { slot, id: said(ID), query, k: said(K), efSearch: said(BREADTH) };
  }

  /** Answers a search that was taken. */
  answer(slot: number, { labels, distances }: SearchHits): void {
    const memory = this.#memory;
    memory.labels.set(labels, slot * MOST_HITS);
    memory.distances.set(distances, slot * MOST_HITS);
    memory.calls[slot * CALL_WORDS + FOUND] = labels.length;
    memory.control[ANSWERED_SLOTS + (this.#answered++ & (SLOTS - 1))] = slot;
    Atomics.store(memory.control, ANSWERED, this.#answered | 0);
    this.#untold++;
  }

  /** True when the index has to be told by a message now that there are answers: of enough, or at the end of a turn of any. */
  mustTell(isEndOfTurn: boolean): boolean {
    if (this.#untold < (isEndOfTurn ? 1 : TOGETHER)) return false;
    this.#untold = 0;
    return Atomics.exchange(this.#memory.control, TOLD, 1) === 0;
  }

  /** A message has come. */
  received(): void {
    this.#seen++;
  }

  wake(): void {
    Atomics.store(this.#memory.control, AWAKE, 1);
  }

  /** Says that the thread sleeps from now on, unless a search has come, or comes soon. Returns sooner when there is a message. */
  sleep(): boolean {
    const { control } = this.#memory;
    if (hasNativeSearch(hnswlib)) hnswlib.waitWhile(control, EVENTS, this.#seen | 0, AWAKE_US);
    Atomics.store(control, AWAKE, 0);
    if (this.isEmpty) return true;
    this.wake();
    return false;
  }
}
