import type { Batch } from "../batches/batch.js";
import { rowCapacity } from "./head-trainer.js";

/** k batches of at most n anchors, for steps of fixed shapes. */
export interface RowsByRole {
  /** k x 3n: the item of each row, -1 where a row is filling. */
  items: Int32Array;
  /** k x n x 3n: 1 where that row is a negative of that anchor; filling anchors have none, which leaves them out. */
  negatives: Float32Array;
}

/**
 * Lays batches out so that a graph knows while it is built where anchors and positives are, and takes slices instead of picking rows,
 * whose gradient is added up element by element: in each batch the rows 0 to n - 1 are the anchors, n to 2n - 1 their positives, and what
 * is neither follows. An item of two roles, as a lone anchor is its own positive, has a row for each; as a negative the first one counts.
 */
export function rowsByRole(batches: readonly Batch[], n: number): RowsByRole {
  const rows = rowCapacity(n);
  const items = new Int32Array(batches.length * rows).fill(-1);
  const negatives = new Float32Array(batches.length * n * rows);
  batches.forEach((batch, k) => {
    const width = batch.items.length;
    const placeOf = new Int32Array(width).fill(-1);
    const put = (row: number, place: number) => {
      items[k * rows + place] = batch.items[row] as number;
      if (placeOf[row] === -1) placeOf[row] = place;
    };
    batch.anchors.forEach(put);
    batch.positives.forEach((row, i) => {
      put(row, n + i);
    });
    let next = 2 * n;
    for (let row = 0; row < width; row++) if (placeOf[row] === -1) put(row, next++);
    for (let i = 0; i < batch.anchors.length; i++) {
      const line = (k * n + i) * rows;
      for (let row = 0; row < width; row++) {
        negatives[line + (placeOf[row] as number)] = batch.negatives[i * width + row] as number;
      }
    }
  });
  return { items, negatives };
}
