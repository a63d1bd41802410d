import type { FeedbackGraph } from "../feedback/feedback-graph.js";

/** What one training step embeds, and what it looks at among the embedded rows. */
export interface Batch {
  /** Item of each of R rows, -1 where a row is filling; an item stands once. */
  items: Int32Array;
  /** Rows of the n anchors. */
  anchors: Int32Array;
  /** Row of each anchor's positive; the anchor's own where it has none. */
  positives: Int32Array;
  /** n x R: 1 where that row is a negative of that anchor; a line of zeros leaves its anchor out. */
  negatives: Float32Array;
}

/** One line of a batch: three items. */
export interface BatchLine {
  anchor: number;
  positive: number;
  /** -1 where it is left to the other lines to be this anchor's negatives. */
  negative: number;
  /** Whether the anchor is its own positive, and only its own negative counts. */
  alone: boolean;
}

/**
 * A batch of lines: the rows are the anchors, then the positives, then the negatives, each item where it is named first. A negative
 * of an anchor is every row of another component; of a lone anchor, the item marked for it alone.
 */
export function batchOf(graph: FeedbackGraph, lines: readonly BatchLine[]): Batch {
  const rowOf = new Map<number, number>();
  for (const name of ["anchor", "positive", "negative"] as const) {
    for (const line of lines) if (line[name] >= 0 && !rowOf.has(line[name])) rowOf.set(line[name], rowOf.size);
  }
  const items = Int32Array.from(rowOf.keys());
  const components = Int32Array.from(items, (item) => graph.componentOf(item));
  const width = items.length;
  const negatives = new Float32Array(lines.length * width);
  lines.forEach((line, at) => {
    const mask = negatives.subarray(at * width, (at + 1) * width);
    if (line.alone) mask[rowOf.get(line.negative) ?? -1] = 1;
    else {
      // The anchor is in a component, so an item of none (-1) differs from it.
      const own = graph.componentOf(line.anchor);
      mask.fill(1);
      for (let row = 0; row < width; row++) if (components[row] === own) mask[row] = 0;
    }
  });
  const rowsOf = (name: "anchor" | "positive") => Int32Array.from(lines, (line) => rowOf.get(line[name]) ?? -1);
  return { items, anchors: rowsOf("anchor"), positives: rowsOf("positive"), negatives };
}
