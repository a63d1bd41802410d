import type { SearchHits } from "../vector/index.js";
import { Bitmap } from "./bitmap.js";
import type { HnswEngine } from "./hnsw-engine.js";
import { type FromWorker, type SearchesMessage, settledMessage } from "./hnsw-messages.js";
import { type AnsweredSearch, packHits } from "./packed-hits.js";
import type { SearchRingThread } from "./search-ring.js";

interface Task {
  id: number;
  /** Where it came by the ring, and its answer goes. */
  slot?: number;
  steps: Generator<undefined, SearchHits[]>;
}

/** The searches under way in an index's thread, those that came by the ring and those that came by messages. */
export class SearchTasks {
  readonly #engine: HnswEngine;
  readonly #ring: SearchRingThread;
  readonly #post: (message: FromWorker) => void;
  readonly #tasks: Task[] = [];

  constructor(engine: HnswEngine, ring: SearchRingThread, post: (message: FromWorker) => void) {
    this.#engine = engine;
    this.#ring = ring;
    this.#post = post;
  }

  get areDone(): boolean {
    return this.#tasks.length === 0 && this.#ring.isEmpty;
  }

  take({ calls, queries }: SearchesMessage): void {
    const total = calls.reduce((sum, call) => sum + call.count, 0);
    const dimensions = total === 0 ? 0 : queries.length / total;
    let start = 0;
    for (const { id, count, allow, ...options } of calls) {
      const end = start + count * dimensions;
      const request = { ...options, queries: queries.subarray(start, end), allow: allow && new Bitmap(allow) };
      this.#tasks.push({ id, steps: this.#engine.search(request) });
      start = end;
    }
  }

  /**
   * Takes a step of each in turn, so that a long one holds none up, those among them that come by the ring meanwhile, until `deadline`
   * (performance.now() milliseconds) or all are done. What came by messages is answered in one.
   */
  run(deadline: number): void {
    const answers: AnsweredSearch[] = [];
    for (this.#takeAsked(); this.#tasks.length > 0; this.#takeAsked()) {
      const task = this.#tasks.shift() as Task;
      const hits = this.#step(task);
      if (hits !== undefined && task.slot === undefined) answers.push({ id: task.id, hits });
      if (hits !== undefined && task.slot !== undefined) {
        this.#ring.answer(task.slot, hits[0] as SearchHits);
        this.#tell(false);
      }
      if (performance.now() >= deadline) break;
    }
    this.#tell(true);
    if (answers.length > 0) this.#post({ type: "hits", packed: packHits(answers) });
  }

  #tell(isEndOfTurn: boolean): void {
    if (this.#ring.mustTell(isEndOfTurn)) this.#post({ type: "answered" });
  }

  #takeAsked(): void {
    for (let asked = this.#ring.take(); asked !== undefined; asked = this.#ring.take()) {
      const { id, slot, query: queries, k, efSearch } = asked;
      this.#tasks.push({ id, slot, steps: this.#engine.search({ queries, k, efSearch }) });
    }
  }

  /** What the search has found, when this was its last step. */
  #step(task: Task): SearchHits[] | undefined {
    try {
      const step = task.steps.next();
      if (step.done) return step.value;
      this.#tasks.push(task);
    } catch (error) {
      this.#post(settledMessage(task.id, error));
    }
    return undefined;
  }
}
