import { freeArray } from "../../vector/free-array.js";
import { dotAt } from "../../vector/maths.js";
import type { Engine } from "../engines/engine.js";
import type { RowSource } from "../rows/row-files.js";

/** Closeness of every query to a run of rows: `closeness[query * count + i]` belongs to row `start + i`. Gone after the visit. */
export interface ClosenessBlock {
  start: number;
  count: number;
  closeness: Float32Array;
}

/** Rows that go through the runtime at once. */
export const BLOCK_ROWS = 1024;

/** Embeds all rows of a source, a block at a time, and hands out how close each query is to them. */
export async function scanCloseness(
  engine: Engine,
  source: RowSource,
  weights: Float32Array,
  queries: Float32Array,
  visit: (block: ClosenessBlock) => void,
  pause: () => Promise<void> = async () => {},
): Promise<void> {
  const block = new Float32Array(Math.min(BLOCK_ROWS, source.count) * engine.dimensions);
  for (let start = 0; start < source.count; start += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, source.count - start);
    source.read(start, count, block);
    const rows = block.subarray(0, count * engine.dimensions);
    const closeness = await engine.closeness(queries, rows, weights);
    visit({ start, count, closeness });
    freeArray(closeness);
    await pause();
  }
}

/** The closeness of two embedded rows, as `closenessModel` defines it. */
export function closenessOf(
  engine: Engine,
  queries: Float32Array,
  query: number,
  embedded: Float32Array,
  row: number,
): number {
  const d = engine.dimensions;
  const product = dotAt(queries, query * d, embedded, row * d, d);
  if (engine.metric === "cosine") return product;
  return product - dotAt(embedded, row * d, embedded, row * d, d) / 2;
}
