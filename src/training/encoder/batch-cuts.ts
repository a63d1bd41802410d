import { cutsOfLeastPadding } from "./step-rows.js";

/** How a batch is worked off. */
export interface BatchCuts {
  /** Whether one run does it all; else each part is run by itself. */
  whole: boolean;
  /** Ends of the parts among the rows, which are in the order of their lengths. */
  ends: readonly number[];
}

export interface CuttingRules {
  /** Parts that a whole step embeds a batch in, each padded for itself; 0 where there are no whole steps. */
  wholeParts: number;
  /** Whether the rows of a part must have one length. */
  equalLengths: boolean;
  /** Whether a whole step on parts of these shapes fits into memory. */
  fitsWhole: (parts: readonly PartShape[]) => boolean;
  /** Whether a part of this shape does when it is run by itself. */
  fitsPart: (part: PartShape) => boolean;
}

/** Rows of a part, and the length that they are padded to. */
export interface PartShape {
  rows: number;
  tokens: number;
}

/** Cuts ascending lengths into parts: as a whole step takes them where that fits into memory, else as few as fit, each of one row at least. */
export function cutBatch(lengths: readonly number[], rules: CuttingRules): BatchCuts {
  if (rules.wholeParts > 0 && lengths.length >= rules.wholeParts) {
    const ends = cutsOfLeastPadding(lengths, rules.wholeParts);
    if (rules.fitsWhole(shapesOf(lengths, ends))) return { whole: true, ends };
  }
  const ends: number[] = [];
  let start = 0;
  while (start < lengths.length) {
    start = longestPart(lengths, start, rules);
    ends.push(start);
  }
  return { whole: false, ends };
}

/** The shapes of the parts that end there. */
export function shapesOf(lengths: readonly number[], ends: readonly number[]): PartShape[] {
  return ends.map((end, k) => ({ rows: end - (ends[k - 1] ?? 0), tokens: lengths[end - 1] ?? 0 }));
}

/** Where the longest part from `start` on ends, by bisection. */
function longestPart(lengths: readonly number[], start: number, { equalLengths, fitsPart }: CuttingRules): number {
  const fits = (end: number) => fitsPart({ rows: end - start, tokens: lengths[end - 1] ?? 0 });
  let [good, bad] = [start + 1, lengths.length + 1];
  if (equalLengths) while (bad > good + 1 && lengths[bad - 2] !== lengths[start]) bad--;
  while (bad > good + 1) {
    const middle = (good + bad) >> 1;
    if (fits(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
