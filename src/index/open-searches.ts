/** The searches of an index that are not answered yet. */
export class OpenSearches {
  readonly #open = new Set<Promise<unknown>>();

  /** `search`, which counts as open until it has ended. */
  async track<T>(search: Promise<T>): Promise<T> {
    this.#open.add(search);
    try {
      return await search;
    } finally {
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
