import type { SearchHits } from "../vector/index.js";
import type { IndexProgress, IndexStatus, RebuildResult, SearchOptions, VectorIndex } from "./vector-index.js";

/** An index and the calls that are under way in it. */
class Held {
  private calls = 0;
  private idle: (() => void) | undefined;

  constructor(readonly index: VectorIndex) {}

  async call<T>(work: (index: VectorIndex) => Promise<T>): Promise<T> {
    this.calls++;
    try {
      return await work(this.index);
    } finally {
      this.calls--;
      if (this.calls === 0) this.idle?.();
    }
  }

  /** Lets the calls under way end, then closes. */
  async retire(): Promise<void> {
    if (this.calls > 0) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    }
    await this.index.close();
  }
}

/** An index that another can take the place of while it is searched: each call ends in the one in which it began. */
export class ReplaceableIndex implements VectorIndex {
  private held: Held;

  constructor(index: VectorIndex) {
    this.held = new Held(index);
  }

  /**
   * From this call on `next` answers, which must hold what this index holds; nothing may be added or removed meanwhile. Resolves when the
   * calls that began before have ended and the old index is closed.
   */
  replace(next: VectorIndex): Promise<void> {
    const old = this.held;
    this.held = new Held(next);
    return old.retire();
  }

  add(labels: Uint32Array): Promise<void> {
    return this.held.call((index) => index.add(labels));
  }

  remove(labels: Uint32Array): Promise<void> {
    return this.held.call((index) => index.remove(labels));
  }

  search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]> {
    return this.held.call((index) => index.search(queries, count, options));
  }

  status(): Promise<IndexStatus> {
    return this.held.call((index) => index.status());
  }

  setEfSearch(efSearch: number): void {
    this.held.index.setEfSearch(efSearch);
  }

  drain(onProgress?: IndexProgress): Promise<void> {
    return this.held.call((index) => index.drain(onProgress));
  }

  rebuild(onProgress?: IndexProgress): Promise<RebuildResult> {
    return this.held.call((index) => index.rebuild(onProgress));
  }

  snapshot(sequence: number): Promise<void> {
    return this.held.call((index) => index.snapshot(sequence));
  }

  close(): Promise<void> {
    return this.held.index.close();
  }
}
