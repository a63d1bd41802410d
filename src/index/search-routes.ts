import { type MetricSpace, metricOf, type SearchHits } from "../vector/index.js";
import { CallsPerTurn } from "./calls-per-turn.js";
import type { EngineOptions, RestingMessage, SearchCall, ToWorker } from "./hnsw-messages.js";
import { RestingGraph, type RestingSearch } from "./resting-graph.js";
import { SearchBatch } from "./search-batch.js";
import type { SearchOptions } from "./vector-index.js";
import { sharedWalkers } from "./walkers.js";

/** In the microseconds that the plan of searches counts in: a longer walk would hold up what else the calling thread does. */
const LONGEST_WALK_HERE = 500;

type Give = (id: number, hits: SearchHits) => void;
type Post = (message: ToWorker, transfer?: ArrayBuffer[]) => void;

/**
 * The ways of a search to the graph. While that is at rest, a search of one query need not go to its own thread: what comes alone, and is
 * short, is searched on the calling thread, the rest by `Walkers`. All else goes to the graph's thread, what comes in one turn of the event
 * loop in one message.
 */
export class SearchRoutes {
  /** Default breadth. */
  efSearch: number;
  readonly #post: Post;
  readonly #give: Give;
  readonly #dimensions: number;
  readonly #space: MetricSpace;
  readonly #searchesHere: boolean;
  readonly #batch = new SearchBatch();
  readonly #turns = new CallsPerTurn();
  readonly #walkers = sharedWalkers();
  /** The last call that may change the graph; and the graph, when the thread has it at rest since. */
  #lastChange = 0;
  #resting: RestingGraph | undefined;

  /** @param give gets the answers of walkers */
  constructor({ rows, metric, parameters, searchHere }: EngineOptions, post: Post, give: Give) {
    this.#post = post;
    this.#give = give;
    this.#dimensions = rows.dimensions;
    this.#space = metricOf(metric);
    this.#searchesHere = searchHere;
    this.efSearch = parameters.efSearch;
  }

  /** The thread has told of its graph at rest. */
  rest({ after, graph }: RestingMessage): void {
    if (after >= this.#lastChange) this.#resting = new RestingGraph(graph, this.#space, this.#dimensions);
  }

  /** The call of this number, which may change the graph, is about to be sent. */
  change(id: number): void {
    this.#lastChange = id;
    this.#resting = undefined;
  }

  /** The hits of one query, when it is to be searched here. Every search has to ask. */
  searchHere(query: Float32Array, count: number, options: SearchOptions): SearchHits | undefined {
    const isAlone = this.#searchesHere && this.#turns.isAlone();
    const search = isAlone ? this.#planResting(count, options) : undefined;
    if (search === undefined || search.cost > LONGEST_WALK_HERE) return undefined;
    return this.#resting?.search(query, search);
  }

  /** Asks other threads. @param queries must not change until the answer */
  send(id: number, queries: Float32Array, count: number, options: SearchOptions): void {
    if (!this.#walk(id, queries, count, options)) this.#sendToThread(id, queries, count, options);
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    if (this.#batch.size === 0) return;
    const message = this.#batch.take();
    this.#post(message, [message.queries.buffer as ArrayBuffer]);
  }

  /** How the graph at rest answers a search, if it can. */
  #planResting(count: number, options: SearchOptions): RestingSearch | undefined {
    const { k, efSearch = this.efSearch, exact, allow } = options;
    return count === 1 ? this.#resting?.plan({ k, efSearch, exact, allow }) : undefined;
  }

  #walk(id: number, query: Float32Array, count: number, options: SearchOptions): boolean {
    const search = this.#walkers && this.#planResting(count, options);
    if (this.#resting === undefined || this.#walkers === undefined || search === undefined) return false;
    if (search.k > this.#walkers.mostHits) return false;
    return this.#resting.ask(this.#walkers, query, search, (hits) => {
      if (hits === undefined) this.#sendToThread(id, query, count, options);
      else this.#give(id, hits);
    });
  }

  #sendToThread(id: number, queries: Float32Array, count: number, { k, efSearch, exact, allow }: SearchOptions): void {
    const call: SearchCall = { id, count, k, efSearch, exact, allow: allow?.words.slice() };
    this.#batch.add(call, queries);
    if (this.#batch.size === 1) setImmediate(() => this.flush());
  }
}
