import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";

/** Where the one negative that a line of a batch brings along comes from, when nobody marked one. */
export interface NegativeMiner {
  /**
   * An item that is no positive of the line's anchor as far as `graph` knows, or -1 where it has none to offer.
   * @param graph what is known: less than all feedback where some of it is held out
   */
  negative(graph: FeedbackGraph, line: TrainingLine, positive: number, random: Random): number;
}

/** Leaves it to the other lines of the batch. */
export const noMiner: NegativeMiner = { negative: () => -1 };

/** Any item of the collection that is not known to be similar. */
export class RandomMiner implements NegativeMiner {
  readonly #items: number;

  /** @param items items of the collection */
  constructor(items: number) {
    this.#items = items;
  }

  negative(graph: FeedbackGraph, { anchor }: TrainingLine, _positive: number, random: Random): number {
    // A component may hold most of the collection; a line without a negative of its own has those of the others.
    for (let tries = 0; tries < 16 && this.#items > 0; tries++) {
      const item = random.integer(this.#items);
      if (!graph.isKnownSimilar(anchor, item)) return item;
    }
    return -1;
  }
}
