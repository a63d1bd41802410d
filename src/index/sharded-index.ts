import type { SearchHits } from "../vector/index.js";
import { mergeHits } from "./merge-hits.js";
import { OpenSearches } from "./open-searches.js";
import type {
  IndexOptions,
  IndexProgress,
  IndexStatus,
  RebuildResult,
  SearchOptions,
  VectorIndex,
} from "./vector-index.js";

export interface ShardedIndexOptions extends Pick<IndexOptions, "rows" | "metric"> {
  /** As of `HnswIndexOptions`; the shards' own say nothing about searches that wait for another shard. */
  onCompacted?: (labels: Uint32Array) => void;
}

/** Which of `shards` shards a label belongs to. */
export function shardOf(label: number, shards: number): number {
  return label % shards;
}

/**
 * Several indexes over one row file as one: each holds the labels of its shard, every search asks all of them and merges what they
 * find. So a build or a single search has as many cores as there are shards. It has died when one of them has.
 */
export class ShardedIndex implements VectorIndex {
  readonly #shards: readonly VectorIndex[];
  readonly #options: ShardedIndexOptions;
  readonly #searches = new OpenSearches();
  /** Resolves when the removals called so far have gone to the shards. */
  #removed: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(shards: readonly VectorIndex[], options: ShardedIndexOptions) {
    this.#shards = shards;
    this.#options = options;
  }

  async add(labels: Uint32Array): Promise<void> {
    const parts = this.#split(labels);
    await this.#removed;
    await this.#each((shard, i) => shard.add(parts[i] as Uint32Array));
  }

  /**
   * Waits for the searches under way: one that has asked the shard of a new label before it was added, and would ask that of the label
   * it replaces after this was removed, would find neither.
   */
  async remove(labels: Uint32Array): Promise<void> {
    const removed = labels.slice();
    const parts = this.#split(removed);
    this.#removed = Promise.all([this.#removed, this.#searches.ended()]);
    await this.#removed;
    await this.#each((shard, i) => shard.remove(parts[i] as Uint32Array));
    this.#searches.afterwards(() => {
      if (!this.#closed) this.#options.onCompacted?.(removed);
    });
  }

  search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]> {
    return this.#searches.track(this.#search(queries, count, options));
  }

  async status(): Promise<IndexStatus> {
    const parts = await this.#each((shard) => shard.status());
    return {
      points: sum(parts, ({ points }) => points),
      tombstones: sum(parts, ({ tombstones }) => tombstones),
      lag: sum(parts, ({ lag }) => lag),
      provisional: parts.some(({ provisional }) => provisional),
      bytesInMemory: sum(parts, ({ bytesInMemory }) => bytesInMemory),
    };
  }

  setEfSearch(efSearch: number): void {
    for (const shard of this.#shards) shard.setEfSearch(efSearch);
  }

  async drain(onProgress?: IndexProgress): Promise<void> {
    const reporters = this.#reporters(onProgress);
    await this.#each((shard, i) => shard.drain(reporters[i]));
  }

  async rebuild(onProgress?: IndexProgress): Promise<RebuildResult> {
    const reporters = this.#reporters(onProgress);
    const parts = await this.#each((shard, i) => shard.rebuild(reporters[i]));
    return {
      points: sum(parts, ({ points }) => points),
      reclaimed: sum(parts, ({ reclaimed }) => reclaimed),
      milliseconds: Math.max(...parts.map(({ milliseconds }) => milliseconds)),
    };
  }

  /** Each shard has a snapshot of its own, with a sequence of its own: they need not be of one moment. */
  async snapshot(sequence: number): Promise<void> {
    await this.#each((shard) => shard.snapshot(sequence));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#each((shard) => shard.close());
  }

  async #search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]> {
    const found = await this.#each((shard) => shard.search(queries, count, options));
    return Array.from({ length: count }, (_, query) => {
      const parts = found.map((hits) => hits[query] as SearchHits);
      return mergeHits(parts, options.k, this.#options);
    });
  }

  #each<T>(call: (shard: VectorIndex, i: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#shards.map(call));
  }

  /** The labels of each shard, in the order given. */
  #split(labels: Uint32Array): Uint32Array[] {
    const { length } = this.#shards;
    return this.#shards.map((_, i) => labels.filter((label) => shardOf(label, length) === i));
  }

  /** What each shard reports to, so that `onProgress` hears of the sum. */
  #reporters(onProgress?: IndexProgress): (IndexProgress | undefined)[] {
    const latest = this.#shards.map(() => ({ done: 0, total: 0 }));
    return latest.map((_, i) => {
      if (onProgress === undefined) return undefined;
      return (progress) => {
        latest[i] = progress;
        onProgress({ done: sum(latest, ({ done }) => done), total: sum(latest, ({ total }) => total) });
      };
    });
  }
}

function sum<T>(parts: readonly T[], termOf: (part: T) => number): number {
  return parts.reduce((total, part) => total + termOf(part), 0);
}
