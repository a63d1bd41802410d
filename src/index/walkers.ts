import { availableParallelism } from "node:os";
import { hasNativeFunctions, hnswlib, type NativeWalkers } from "../native/index.js";

/** How long one look waits for an answer. */
const LOOK_US = 40;
/** How long it is looked for answers after the last question or answer: a short walk takes less. */
const WATCH_MS = 0.1;
/** Answers that are taken at once. */
const ANSWERS = 64;
/** Hits that an answer has room for. */
const MOST_HITS = 128;

/** A search of a shared graph; the maps are only needed where not every node lives and is allowed. */
export interface AskedSearch {
  /** The graph, as of `NativeGraph.share`. */
  number: number;
  /** Preprocessed; copied. */
  query: Float32Array;
  /** At most `Walkers.mostHits`. */
  k: number;
  /** As broad as the graph, it compares with each row: with those that want the same in the same memory (`allow`). */
  breadth: number;
  /** Expected microseconds. */
  cost: number;
  labelOf: Uint32Array | undefined;
  nodeOf: Uint32Array | undefined;
  allow: Uint32Array | undefined;
}

/** The nodes found and their distances, nearest first, to be read at once; undefined when it cannot be walked any more. */
export type GiveNodes = (nodes: Uint32Array | undefined, distances: Float32Array) => void;

interface Open {
  search: AskedSearch;
  give: GiveNodes;
}

/**
 * Threads in C++ that search in graphs at rest, as many as there is work for; a comparison with many rows they divide among each other. While
 * short walks are under way it is looked for their answers in each turn of the event loop: an idle processor takes longer to wake than a short
 * walk takes, so being told of each answer would cost more than the answer.
 */
export class Walkers {
  readonly mostHits = MOST_HITS;
  readonly #native: NativeWalkers;
  /** Those asked and not answered; they also keep the maps and what is allowed, which the threads read. */
  readonly #open = new Map<number, Open>();
  readonly #ids = new Float64Array(ANSWERS);
  readonly #counts = new Int32Array(ANSWERS);
  readonly #nodes = new Uint32Array(ANSWERS * MOST_HITS);
  readonly #distances = new Float32Array(ANSWERS * MOST_HITS);
  #lastId = 0;
  #watches = false;
  #until = 0;

  /** @param threads at most so many */
  constructor(native: new (threads: number, tell: () => void) => NativeWalkers, threads: number) {
    this.#native = new native(threads, () => {
      if (!this.#watches) this.#take();
    });
  }

  /** `give` is called once, in a later turn of the event loop; never when this returns false: the graph is no longer shared. */
  ask(search: AskedSearch, give: GiveNodes): boolean {
    const { number, query, k, breadth, cost, labelOf, nodeOf, allow } = search;
    const id = ++this.#lastId;
    if (!this.#native.ask(id, number, query, k, breadth, cost, labelOf, nodeOf, allow)) return false;
    this.#open.set(id, { search, give });
    this.#until = performance.now() + WATCH_MS;
    if (!this.#watches) this.#watch(true);
    return true;
  }

  #watch(watches: boolean): void {
    this.#watches = watches;
    this.#native.watch(watches);
    if (watches) setImmediate(() => this.#look());
    // What was answered a moment before was not told of.
    else this.#take();
  }

  #look(): void {
    this.#native.wait(LOOK_US);
    const now = performance.now();
    if (this.#take() > 0) this.#until = now + WATCH_MS;
    if (this.#open.size > 0 && now < this.#until) setImmediate(() => this.#look());
    else this.#watch(false);
  }

  /** Gives away the answers that are there; returns how many. */
  #take(): number {
    let taken = 0;
    for (let some = ANSWERS; some === ANSWERS; taken += some) {
      some = this.#native.take(this.#ids, this.#counts, this.#nodes, this.#distances);
      for (let i = 0; i < some; i++) this.#giveAnswer(i);
    }
    return taken;
  }

  #giveAnswer(place: number): void {
    const id = this.#ids[place] as number;
    const count = this.#counts[place] as number;
    const open = this.#open.get(id);
    this.#open.delete(id);
    const from = place * MOST_HITS;
    const nodes = count < 0 ? undefined : this.#nodes.subarray(from, from + count);
    open?.give(nodes, this.#distances.subarray(from, from + Math.max(0, count)));
  }
}

let shared: Walkers | undefined;

/** The walkers of this thread of JavaScript, one for each processor; undefined where the build of hnswlib-node has none. */
export function sharedWalkers(): Walkers | undefined {
  if (hasNativeFunctions(hnswlib)) shared ??= new Walkers(hnswlib.Walkers, availableParallelism());
  return shared;
}
