import { type LiveRows, openHnswIndex } from "../../index/index.js";
import type { CollectionState } from "../collection-state.js";
import type { ItemWriter } from "../items/item-writer.js";
import type { LabelAllocator } from "../items/label-allocator.js";
import type { JobBook } from "../jobs/job-book.js";
import { buildIndex, drainUnless } from "./build-index.js";
import { indexOptions, releaseWhileActive } from "./generation-index.js";
import { IndexedItems } from "./indexed-items.js";

/** An index that is behind by at most this many changes is near enough for the last step, in which writes wait. */
const NEAR = 256;

export interface RebuildParts {
  state: CollectionState;
  writer: ItemWriter;
  labels: LabelAllocator;
  jobs: JobBook;
  /** Of the thread that builds. */
  niceness: number;
}

/**
 * Builds, in the background, the graph that takes the place of a provisional one: the second switch of a fine-tune, within its generation.
 * Nothing depends on it: stopped, failed or crashed it leaves the provisional graph as it is, and begins anew at the next start.
 */
export class IndexRebuild {
  private running: { controller: AbortController; ended: Promise<void> } | undefined;

  constructor(private readonly parts: RebuildParts) {}

  /** Begins, if the active generation's graph is provisional and none is under way. */
  start(): void {
    if (this.running !== undefined) return;
    const controller = new AbortController();
    const running = { controller, ended: this.run(controller.signal) };
    this.running = running;
    void running.ended.then(() => {
      if (this.running === running) this.running = undefined;
    });
  }

  /** Gives up what is under way, and waits until it has ended. */
  async stop(): Promise<void> {
    const { running } = this;
    running?.controller.abort(new Error("stopped"));
    await running?.ended;
    if (this.running === running) this.running = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { state } = this.parts;
    const { number, index } = state.active;
    try {
      if ((await index.status()).provisional) await this.rebuild(signal);
    } catch (error) {
      if (signal.aborted) return;
      state.log.warn(
        `Collection ${state.record.name}: the index of generation ${number} stays provisional: ${String(error)}`,
      );
    }
  }

  private async rebuild(signal: AbortSignal): Promise<void> {
    const { state, writer, labels, jobs, niceness } = this.parts;
    const started = performance.now();
    const { active: generation } = state;
    const saved = state.sequence;
    await buildIndex({ ...this.options(), fresh: true }, { niceness, signal });
    const next = await this.openNext(signal);
    let closed = Promise.resolve();
    let letGo = () => {};
    try {
      await writer.exclusive(async () => {
        signal.throwIfAborted();
        await next.follow(state.table, state.sequence);
        // Searches that began in the provisional graph still find what its labels stood for.
        letGo = labels.keep();
        closed = generation.replaceIndex(next, saved);
        labels.release();
      });
    } catch (error) {
      await next.index.close();
      throw error;
    }
    await closed.finally(letGo);
    const stored = await state.tables.generations.get(generation.number);
    if (stored !== undefined) {
      const { breadth: _, ...record } = stored;
      await state.storage.write([state.tables.generations.put(generation.number, record)]);
    }
    await jobs.rebuilt(generation.number, Math.round(performance.now() - started));
  }

  /** Opens what was built and lets it catch up with the writes made meanwhile, as near as it gets while they go on. */
  private async openNext(signal: AbortSignal): Promise<IndexedItems> {
    const { state, labels } = this.parts;
    const { number } = state.active;
    const { sequence } = state;
    const options = this.options();
    const onCompacted = releaseWhileActive(number, state, labels);
    const index = await openHnswIndex({ ...options, onCompacted });
    const next = new IndexedItems(index, options.live.labels, sequence);
    try {
      await drainUnless(signal, index);
      for (let last = Number.POSITIVE_INFINITY; ; ) {
        const behind = state.sequence - next.sequence;
        if (behind <= NEAR || behind >= last) break;
        last = behind;
        await next.follow(state.table, state.sequence);
        await drainUnless(signal, index);
      }
      return next;
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  /** As of now. */
  private options() {
    const { state } = this.parts;
    const live: LiveRows = state.table.snapshot();
    return indexOptions(state.active.number, state.active.rows, live, state);
  }
}
