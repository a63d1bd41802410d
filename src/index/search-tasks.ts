import type { SearchHits } from "../vector/index.js";
import { Bitmap } from "./bitmap.js";
import type { HnswEngine } from "./hnsw-engine.js";
import { type FromWorker, type SearchesMessage, settledMessage } from "./hnsw-messages.js";
import { type AnsweredSearch, packHits } from "./packed-hits.js";

interface Task {
  id: number;
  steps: Generator<undefined, SearchHits[]>;
}

/** The searches under way in an index's thread. */
export class SearchTasks {
  readonly #engine: HnswEngine;
  readonly #post: (message: FromWorker) => void;
  readonly #tasks: Task[] = [];

  constructor(engine: HnswEngine, post: (message: FromWorker) => void) {
    this.#engine = engine;
    this.#post = post;
  }

  get areDone(): boolean {
    return this.#tasks.length === 0;
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
   * Takes a step of each in turn, so that a long one holds none up, until `deadline` (performance.now() milliseconds) or all are done. What was
   * found is answered in one message.
   */
  run(deadline: number): void {
    const answers: AnsweredSearch[] = [];
    while (this.#tasks.length > 0) {
      const task = this.#tasks.shift() as Task;
      const hits = this.#step(task);
      if (hits !== undefined) answers.push({ id: task.id, hits });
      if (performance.now() >= deadline) break;
    }
    if (answers.length > 0) this.#post({ type: "hits", packed: packHits(answers) });
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
