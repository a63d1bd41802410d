import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import type { NegativeMiner } from "../miners/negative-miner.js";
import { type Batch, type BatchLine, batchOf } from "./batch.js";

export interface BatchSamplerOptions {
  /** Lines of a batch, at most. */
  batchSize: number;
  /**
   * Lines of one component that stand in a batch together. With 1, each item that a batch embeds has one part to play; with more (P
   * components x K items), items serve as each other's positives, which is worth it where embedding an item is dear. @default 1
   */
  itemsPerComponent?: number;
}

/**
 * Draws batches without end: each epoch is the lines in a new random order, by groups of one component; a group whose component
 * stands in the batch already waits for the next. Negatives come from marks first, then from the miner, one for each
 * line that has marks and one for each group; all other components of the batch come on top (see `batchOf`).
 */
export class BatchSampler {
  readonly #graph: FeedbackGraph;
  readonly #lines: readonly TrainingLine[];
  readonly #miner: NegativeMiner;
  readonly #random: Random;
  readonly #groupSize: number;
  /** Lines of a batch: fewer than asked for where the components do not give as many. */
  readonly batchSize: number;
  #queue: TrainingLine[][] = [];

  constructor(
    graph: FeedbackGraph,
    lines: readonly TrainingLine[],
    miner: NegativeMiner,
    { batchSize, itemsPerComponent = 1 }: BatchSamplerOptions,
    random: Random,
  ) {
    this.#graph = graph;
    this.#lines = lines;
    this.#miner = miner;
    this.#random = random;
    this.#groupSize = Math.min(itemsPerComponent, batchSize);
    const linesOf = new Map<number, number>();
    for (const { anchor } of lines) {
      const component = graph.componentOf(anchor);
      linesOf.set(component, Math.min(this.#groupSize, (linesOf.get(component) ?? 0) + 1));
    }
    const atOnce = [...linesOf.values()].reduce((sum, count) => sum + count, 0);
    this.batchSize = Math.min(batchSize, atOnce);
  }

  /** Batches, and a fraction of one, that show all lines once. */
  get stepsPerEpoch(): number {
    return this.#lines.length / Math.max(1, this.batchSize);
  }

  /** The next batch, at most `batchSize` lines, each group of another component. */
  next(): Batch {
    const batch: BatchLine[] = [];
    const taken = new Set<number>();
    const waiting: TrainingLine[][] = [];
    // A fresh epoch starts inside a batch only while the batch is empty: else its first lines would be favoured.
    if (this.#queue.length === 0) this.#queue = this.#epoch();
    while (batch.length < this.batchSize) {
      const group = this.#queue.pop();
      if (group === undefined) break;
      const component = this.#graph.componentOf(group[0]?.anchor ?? -1);
      if (taken.has(component)) {
        waiting.push(group);
        continue;
      }
      taken.add(component);
      const room = this.batchSize - batch.length;
      if (group.length > room) waiting.push(group.slice(room));
      batch.push(...this.#complete(group.slice(0, room)));
    }
    for (const group of waiting.reverse()) this.#queue.push(group);
    return batchOf(this.#graph, batch);
  }

  /** The lines in random order, last first, each joined by the next ones of its component. */
  #epoch(): TrainingLine[][] {
    const groups: TrainingLine[][] = [];
    const openGroupOf = new Map<number, TrainingLine[]>();
    for (const line of this.#random.shuffle([...this.#lines])) {
      const component = this.#graph.componentOf(line.anchor);
      const open = openGroupOf.get(component);
      if (open !== undefined && open.length < this.#groupSize) open.push(line);
      else {
        const group = [line];
        groups.push(group);
        openGroupOf.set(component, group);
      }
    }
    return groups.reverse();
  }

  #complete(group: readonly TrainingLine[]): BatchLine[] {
    return group.map((line, at) => {
      const positive = this.#positive(line, group);
      const marked = line.marked[this.#random.integer(Math.max(1, line.marked.length))];
      const negative = marked ?? (at === 0 ? this.#miner.negative(this.#graph, line, positive, this.#random) : -1);
      return { anchor: line.anchor, positive, negative, alone: line.alone };
    });
  }

  /** Another anchor of the group where one may serve, since it is embedded anyway, else one of the line's own. */
  #positive(line: TrainingLine, group: readonly TrainingLine[]): number {
    const beside = group.map(({ anchor }) => anchor).filter((other) => this.#graph.isPositive(line.anchor, other));
    const choices = beside.length > 0 && !line.alone ? beside : line.positives;
    return choices[this.#random.integer(choices.length)] ?? line.anchor;
  }
}
