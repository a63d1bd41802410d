import type { Random } from "../../vector/random.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import type { MinedNegatives } from "../miners/hard-negative-miner.js";

/** One line of a batch: three items; a negative of -1 leaves it to the other lines to be this anchor's negatives. */
export interface BatchLine {
  anchor: number;
  positive: number;
  negative: number;
  alone: boolean;
}

/** How many of the hardest mined candidates a line draws its negative from. */
const MINED_CHOICES = 4;

/**
 * Draws batches without end: each epoch is the lines in a new random order; a line whose anchor's component stands in
 * the batch already waits for the next. Negatives come from marks first, then from mining; those of the other lines
 * of the batch come on top (see `negativeMask`).
 */
export class BatchSampler {
  readonly #graph: FeedbackGraph;
  readonly #lines: readonly TrainingLine[];
  readonly #mined: MinedNegatives;
  readonly #random: Random;
  readonly batchSize: number;
  #queue: TrainingLine[] = [];

  constructor(
    graph: FeedbackGraph,
    lines: readonly TrainingLine[],
    mined: MinedNegatives,
    batchSize: number,
    random: Random,
  ) {
    this.#graph = graph;
    this.#lines = lines;
    this.#mined = mined;
    this.#random = random;
    this.batchSize = Math.min(batchSize, new Set(lines.map((line) => graph.componentOf(line.anchor))).size);
  }

  /** Batches, and a fraction of one, that show all lines once. */
  get stepsPerEpoch(): number {
    return this.#lines.length / Math.max(1, this.batchSize);
  }

  /** The next batch, at most `batchSize` lines, each of another component. */
  next(): BatchLine[] {
    const batch: BatchLine[] = [];
    const taken = new Set<number>();
    const waiting: TrainingLine[] = [];
    // A fresh epoch starts inside a batch only while the batch is empty: else its first lines would be favoured.
    if (this.#queue.length === 0) this.#queue = this.#random.shuffle([...this.#lines]).reverse();
    while (batch.length < this.batchSize) {
      const line = this.#queue.pop();
      if (line === undefined) break;
      const component = this.#graph.componentOf(line.anchor);
      if (taken.has(component)) {
        waiting.push(line);
        continue;
      }
      taken.add(component);
      batch.push(this.#complete(line));
    }
    for (const line of waiting.reverse()) this.#queue.push(line);
    return batch;
  }

  #complete(line: TrainingLine): BatchLine {
    const choice = this.#random.integer(line.positives.length);
    const positive = line.positives[choice] ?? line.anchor;
    return { anchor: line.anchor, positive, negative: this.#negative(line, positive), alone: line.alone };
  }

  #negative(line: TrainingLine, positive: number): number {
    if (line.marked.length > 0) return line.marked[this.#random.integer(line.marked.length)] ?? -1;
    const candidates = this.#mined.of(line.anchor, positive);
    // Marked by label comes before unmarked, as any mark does.
    const otherLabel = candidates.filter((item) => this.#graph.isOtherLabel(line.anchor, item));
    const pool = otherLabel.length > 0 ? otherLabel : candidates.filter((item) => this.#isFree(line.anchor, item));
    const hardest = pool.slice(0, MINED_CHOICES);
    return hardest.length === 0 ? -1 : (hardest[this.#random.integer(hardest.length)] ?? -1);
  }

  #isFree(anchor: number, item: number): boolean {
    return !this.#graph.isKnownSimilar(anchor, item);
  }
}

/**
 * Which of a batch's items are negatives of which anchor: 1 for every item of another component, as rows of anchors
 * against columns of all anchors, then all positives, then all negatives. A lone anchor has only its own marked item.
 * @param size lines the mask has room for; lines beyond the batch are all 0
 */
export function negativeMask(graph: FeedbackGraph, batch: readonly BatchLine[], size: number): Float32Array {
  const width = 3 * size;
  const mask = new Float32Array(size * width);
  const columns = batchColumns(batch, size);
  const components = columns.map((item) => graph.componentOf(item));
  batch.forEach((line, row) => {
    if (line.alone) {
      mask[row * width + 2 * size + row] = 1;
      return;
    }
    // The anchor is in a component, so an item of none (-1) differs from it.
    const own = graph.componentOf(line.anchor);
    for (let column = 0; column < width; column++) {
      if ((columns[column] as number) >= 0 && components[column] !== own) mask[row * width + column] = 1;
    }
  });
  return mask;
}

/** The items of a batch as columns: anchors, positives, negatives; -1 where there is none. */
export function batchColumns(batch: readonly BatchLine[], size: number): Int32Array {
  const columns = new Int32Array(3 * size).fill(-1);
  batch.forEach((line, row) => {
    columns[row] = line.anchor;
    columns[size + row] = line.positive;
    columns[2 * size + row] = line.negative;
  });
  return columns;
}
