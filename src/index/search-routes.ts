import { type MetricSpace, metricOf, type SearchHits } from "../vector/index.js";
import { AnswerWatch } from "./answer-watch.js";
import { CallsPerTurn } from "./calls-per-turn.js";
import type { EngineOptions, RestingMessage, SearchCall, ToWorker } from "./hnsw-messages.js";
import { RestingGraph } from "./resting-graph.js";
import { SearchBatch } from "./search-batch.js";
import { isSmall, NATIVE_COSTS, walkCost } from "./search-plan.js";
import { SearchRing } from "./search-ring.js";
import type { SearchOptions } from "./vector-index.js";

/** In the microseconds that the plan of searches counts in: a longer walk would hold up what else the calling thread does. */
const LONGEST_WALK_HERE = 500;

type Post = (message: ToWorker, transfer?: ArrayBuffer[]) => void;

/**
 * The ways of a search to the graph. What comes alone is searched on the calling thread, if a short walk in a graph at rest can answer. The
 * rest is for the index's own thread: plain searches by the ring, others of one turn of the event loop in one message.
 */
export class SearchRoutes {
  readonly ring: SearchRing;
  /** Default breadth. */
  efSearch: number;
  readonly #post: Post;
  readonly #dimensions: number;
  readonly #space: MetricSpace;
  readonly #batch = new SearchBatch();
  readonly #turns = new CallsPerTurn();
  readonly #watch: AnswerWatch;
  /** The last call that may change the graph; and the graph, when the thread has it at rest since. */
  #lastChange = 0;
  #resting: RestingGraph | undefined;

  /** @param give gets the answer to each search that went by the ring */
  constructor({ rows, metric, parameters }: EngineOptions, post: Post, give: (id: number, hits: SearchHits) => void) {
    this.#post = post;
    this.#dimensions = rows.dimensions;
    this.#space = metricOf(metric);
    this.ring = new SearchRing(rows.dimensions);
    this.#watch = new AnswerWatch(this.ring, give);
    this.efSearch = parameters.efSearch;
  }

  /** The thread has told of its graph at rest. */
  rest({ after, graph }: RestingMessage): void {
    if (after >= this.#lastChange) this.#resting = new RestingGraph(graph, this.#space);
  }

  /** The call of this number, which may change the graph, is about to be sent. */
  change(id: number): void {
    this.#lastChange = id;
    this.#resting = undefined;
  }

  /** The hits of one query, when it is to be searched here. Every search has to ask. */
  searchHere(query: Float32Array, count: number, options: SearchOptions): SearchHits | undefined {
    const graph = this.#turns.isAlone() && isPlain(count, options) ? this.#resting : undefined;
    const { k, efSearch = this.efSearch } = options;
    const breadth = Math.max(efSearch, k);
    if (graph === undefined || k < 1 || isSmall(graph.living, breadth)) return undefined;
    if (walkCost(breadth, this.#dimensions, NATIVE_COSTS) > LONGEST_WALK_HERE) return undefined;
    return graph.search(query, k, breadth);
  }

  /** Asks the thread; queries and filter are copied. */
  send(id: number, queries: Float32Array, count: number, options: SearchOptions): void {
    const { k, efSearch, exact, allow } = options;
    if (isPlain(count, options) && this.ring.ask(id, queries, k, efSearch ?? this.efSearch)) {
      if (this.ring.isFirst) setImmediate(() => this.#wake(true));
      this.#wake(false);
      this.#watch.extend();
      return;
    }
    const call: SearchCall = { id, count, k, efSearch, exact, allow: allow?.words.slice() };
    this.#batch.add(call, queries);
    if (this.#batch.size === 1) setImmediate(() => this.flush());
  }

  /** The thread has told of answers in the ring. */
  answered(): void {
    this.#watch.told();
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    if (this.#batch.size === 0) return;
    const message = this.#batch.take();
    this.#post(message, [message.queries.buffer as ArrayBuffer]);
  }

  #wake(isEndOfTurn: boolean): void {
    if (this.ring.mustWake(isEndOfTurn)) this.#post({ type: "wake" });
  }
}

function isPlain(count: number, { exact, allow }: SearchOptions): boolean {
  return count === 1 && exact !== true && allow === undefined;
}
