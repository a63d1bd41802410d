import type { PreparedInput } from "../../encoder/index.js";
import { lengthOf } from "./contents.js";

/** What one objective looks at among the rows of a step: see `Batch`. */
export interface ObjectiveRows {
  anchors: Int32Array;
  positives: Int32Array;
  /** n x rows. */
  negatives: Float32Array;
}

/** The inputs that one step embeds, and what its objectives look at among them. */
export interface StepRows {
  inputs: readonly PreparedInput[];
  objectives: readonly ObjectiveRows[];
}

/** The same rows in the order of their lengths, so that a part of successive rows holds little padding. */
export function sortedByLength({ inputs, objectives }: StepRows): StepRows {
  const order = inputs.map((_, row) => row);
  const lengths = inputs.map(lengthOf);
  order.sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
  const placeOf = new Int32Array(order.length);
  order.forEach((row, place) => {
    placeOf[row] = place;
  });
  const moved = (rows: Int32Array) => rows.map((row) => placeOf[row] as number);
  return {
    inputs: order.map((row) => inputs[row] as PreparedInput),
    objectives: objectives.map(({ anchors, positives, negatives }) => {
      const columns = new Float32Array(negatives.length);
      const width = order.length;
      for (let start = 0; start < columns.length; start += width) {
        for (let place = 0; place < width; place++) {
          columns[start + place] = negatives[start + (order[place] as number)] as number;
        }
      }
      return { anchors: moved(anchors), positives: moved(positives), negatives: columns };
    }),
  };
}

/**
 * Cuts ascending lengths into `parts` runs with the least padding, each at least one long: the ends of the runs.
 * Between cuts of equal cost the earliest wins, so that the same lengths are cut the same way.
 */
export function cutsOfLeastPadding(lengths: readonly number[], parts: number): number[] {
  const n = lengths.length;
  // best[k][end]: least cells that the first `end` rows take in k + 1 runs; from[k][end]: where the last of these runs begins.
  let best = lengths.map((length, i) => (i + 1) * length);
  const from: number[][] = [];
  for (let k = 1; k < parts; k++) {
    const next = new Array<number>(n).fill(Number.POSITIVE_INFINITY);
    const starts = new Array<number>(n).fill(0);
    for (let end = k; end < n; end++) {
      for (let start = k; start <= end; start++) {
        const cells = (best[start - 1] as number) + (end - start + 1) * (lengths[end] as number);
        if (cells < (next[end] as number)) {
          next[end] = cells;
          starts[end] = start;
        }
      }
    }
    best = next;
    from.push(starts);
  }
  const ends: number[] = [n];
  for (const starts of from.toReversed()) ends.unshift(starts[(ends[0] as number) - 1] as number);
  return ends;
}
