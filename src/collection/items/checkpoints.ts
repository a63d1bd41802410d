import type { CollectionState } from "../collection-state.js";

/** A checkpoint is due at once after this many changes, or after half the collection changed, whichever is more. */
const MANY_CHANGES = 20_000;
/** It is due when writes pause, after this many changes, or after a twentieth of the collection changed. */
const SOME_CHANGES = 1000;
const PAUSE_MS = 2000;
/** A graph with more tombstones than this share of its points is about to be rebuilt; saving it would waste disk and time. */
const WORN = 0.2;

/** Saves the active generation's index now and then, so that a start after a crash has little to build. */
export class Checkpoints {
  private running: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly state: CollectionState) {}

  /** To be called after each commit. */
  changed(): void {
    const { active, table } = this.state;
    const changes = active.sequence - active.checkpointed;
    clearTimeout(this.timer);
    if (changes >= Math.max(MANY_CHANGES, table.count / 2)) this.start();
    else if (changes >= Math.max(SOME_CHANGES, table.count / 20)) this.later();
  }

  /** With `save`, saves what is not saved yet, unless the graph is worn. */
  async close(save: boolean): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.running;
    const { active } = this.state;
    // Rows that the last snapshot lacked may have been built in since.
    if (save && (active.sequence > active.checkpointed || active.unbuilt > 0)) await this.save();
  }

  private later(): void {
    clearTimeout(this.timer);
    if (this.closed) return;
    this.timer = setTimeout(() => this.start(SOME_CHANGES), PAUSE_MS).unref();
  }

  /** @param mostLag where the graph has still more rows than this to come to, it is saved later */
  private start(mostLag = Number.POSITIVE_INFINITY): void {
    this.running ??= this.save(mostLag).finally(() => {
      this.running = undefined;
    });
  }

  private async save(mostLag = Number.POSITIVE_INFINITY): Promise<void> {
    const { state } = this;
    try {
      if (!(await checkpointActive(state, mostLag))) this.later();
    } catch (error) {
      state.log.warn(`Collection ${state.record.name}: no snapshot of the index was written: ${String(error)}`);
    }
  }
}

/** Saves index and rows of the active generation, then how far they reach. False when the graph is worn, or far behind, and was not saved. */
async function checkpointActive(state: CollectionState, mostLag: number): Promise<boolean> {
  const { active } = state;
  return active.use(async () => {
    const { points, tombstones, lag } = await active.index.status();
    if (tombstones > points * WORN || lag > mostLag) return false;
    await active.checkpoint();
    const stored = await state.tables.generations.get(active.number);
    if (stored === undefined) return true;
    const record = { ...stored, rowsSequence: active.checkpointed, items: state.table.count };
    await state.storage.write([state.tables.generations.put(active.number, record)]);
    return true;
  });
}
