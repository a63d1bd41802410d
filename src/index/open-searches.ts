/** The searches of an index that are not answered yet. */
export class OpenSearches {
  /** How many are under way in all indexes that this thread of JavaScript has opened (more than 0 is what counts): one number, in shared memory. */
  static readonly everywhere = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #open = new Set<Promise<unknown>>();

  /** `search`, which counts as open until it has ended. */
  async track<T>(search: Promise<T>): Promise<T> {
    this.#open.add(search);
    Atomics.add(OpenSearches.everywhere, 0, 1);
    try {
      return await search;
    } finally {
      Atomics.sub(OpenSearches.everywhere, 0, 1);
      this.#open.delete(search);
    }
  }

  /** Resolves when those that are open now have ended. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#open);
  }

  /** Calls `done` when those that are open now have ended, a turn of the event loop later: their callers look up the labels they got. */
  afterwards(done: () => void): void {
    void this.ended().then(() => setImmediate(done));
  }
}
