import type { SearchCall, SearchesMessage } from "./hnsw-messages.js";

/** Searches that are to travel in one message, with their queries one after the other in a block that grows. */
export class SearchBatch {
  #calls: SearchCall[] = [];
  #queries = new Float32Array(0);
  #filled = 0;

  get size(): number {
    return this.#calls.length;
  }

  /** @param queries call.count x dimensions, flat; copied */
  add(call: SearchCall, queries: Float32Array): void {
    this.#calls.push(call);
    const end = this.#filled + queries.length;
    if (end > this.#queries.length) {
      const grown = new Float32Array(Math.max(end, this.#queries.length * 2));
      grown.set(this.#queries.subarray(0, this.#filled));
      this.#queries = grown;
    }
    this.#queries.set(queries, this.#filled);
    this.#filled = end;
  }

  /** What was added since the last time, as a message whose `queries.buffer` may be transferred. */
  take(): SearchesMessage {
    const message: SearchesMessage = {
      type: "search",
      calls: this.#calls,
      queries: this.#queries.subarray(0, this.#filled),
    };
    this.#calls = [];
    this.#queries = new Float32Array(0);
    this.#filled = 0;
    return message;
  }
}
