import type { CollectionState } from "../collection-state.js";
import { RecallSample } from "./recall-sample.js";

/** A recall, and what was measured. */
interface Measured {
  recall: number;
  generation: number;
  efSearch: number;
}

export interface MeasuringOptions {
  threads: number;
  niceness: number;
  signal: AbortSignal;
}

/**
 * What the index that serves finds, measured beside a training, while the switch that may follow is not waited for yet. It goes through all
 * rows once, mostly while the training process starts, which leaves cores idle.
 */
export class EarlyRecall {
  private constructor(
    private readonly measured: Promise<Measured | undefined>,
    private readonly controller: AbortController,
  ) {}

  static begin(state: CollectionState, { signal, ...options }: MeasuringOptions): EarlyRecall {
    const controller = new AbortController();
    const stopped = AbortSignal.any([signal, controller.signal]);
    // Where it fails, the switch measures, and says why it cannot.
    const measured = measure(state, { ...options, signal: stopped }).catch(() => undefined);
    return new EarlyRecall(measured, controller);
  }

  /** The recall, if the same generation serves with the same efSearch as when it was measured. */
  async taken({ active, settings }: CollectionState): Promise<number | undefined> {
    const measured = await this.measured;
    const isSame = measured?.generation === active.number && measured.efSearch === efSearchOf({ active, settings });
    return isSame ? measured.recall : undefined;
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.controller.abort(new Error("stopped"));
    await this.measured;
  }
}

function measure(state: CollectionState, options: MeasuringOptions): Promise<Measured> {
  const { active, rules, table } = state;
  const efSearch = efSearchOf(state);
  return active.use(async () => {
    const { labels } = table.snapshot();
    const sample = await RecallSample.draw({ rows: active.rows, labels, rules }, options);
    options.signal.throwIfAborted();
    return { recall: await sample.recallIn(active.index, efSearch), generation: active.number, efSearch };
  });
}

/** What a search of the generation that serves has for efSearch, where it asks for none itself. */
export function efSearchOf({ active, settings }: Pick<CollectionState, "active" | "settings">): number {
  return active.widened(settings.index.efSearch);
}
