import type { Metric } from "../../vector/metric.js";
import { metricOf } from "../../vector/metric.js";
import type { Random } from "../../vector/random.js";
import type { RowSource } from "./row-files.js";
import { RowTable } from "./row-table.js";

const SCALE_SAMPLE = 512;
const TABLE_BYTES = 128 * 1024 * 1024;

/**
 * The base vectors of everything feedback can name: items (positions 0 to L - 1), then extra rows, prepared for training.
 *
 * Under the Euclidean metric rows are moved to mean 0 and divided by the median distance of two random items. A linear
 * head's distances do not see the shift, and scale with the division; numbers near 1 keep float32 exact and give margins
 * one meaning. Under cosine rows stay as they are: no length matters.
 */
export class BaseRows implements RowSource {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly items: RowSource;
  /** Distance units of the collection in one unit of the prepared rows. */
  readonly scale: number;
  readonly #extra: RowSource;
  readonly #shift: Float32Array | undefined;
  /** Rows of items that were asked for one by one. */
  readonly table: RowTable;

  constructor(items: RowSource, extra: RowSource, dimensions: number, metric: Metric, random: Random) {
    this.items = items;
    this.#extra = extra;
    this.dimensions = dimensions;
    this.metric = metric;
    this.scale = 1;
    this.table = new RowTable((item, target, at) => this.read(item, 1, target, at), dimensions, TABLE_BYTES);
    if (metric === "cosine" || items.count === 0) return;
    const sample = sampleRows(items, dimensions, SCALE_SAMPLE, random);
    this.#shift = meanRow(sample.rows, dimensions);
    this.scale = medianDistance(sample.rows, dimensions);
  }

  /** Number of items; extra rows are numbered from here on. */
  get count(): number {
    return this.items.count;
  }

  /** Items and extra rows. */
  get total(): number {
    return this.items.count + this.#extra.count;
  }

  read(start: number, count: number, target: Float32Array, at = 0): void {
    const fromItems = Math.max(0, Math.min(count, this.items.count - start));
    if (fromItems > 0) this.items.read(start, fromItems, target, at);
    if (fromItems < count) {
      this.#extra.read(start + fromItems - this.items.count, count - fromItems, target, at + fromItems);
    }
    this.#prepare(target.subarray(at * this.dimensions, (at + count) * this.dimensions));
  }

  /** Copies the prepared row of one item into `target` at row `at`. */
  readRow(item: number, target: Float32Array, at: number): void {
    this.table.copy(item, target, at);
  }

  /** Prepared rows of the items of a list, one after the other. */
  gather(items: ArrayLike<number>): Float32Array {
    const rows = new Float32Array(items.length * this.dimensions);
    for (let i = 0; i < items.length; i++) this.readRow(items[i] as number, rows, i);
    return rows;
  }

  #prepare(rows: Float32Array): void {
    const shift = this.#shift;
    if (shift === undefined) return;
    const factor = 1 / this.scale;
    for (let start = 0; start < rows.length; start += shift.length) {
      for (let i = 0; i < shift.length; i++) {
        rows[start + i] = ((rows[start + i] as number) - (shift[i] as number)) * factor;
      }
    }
  }
}

/** `count` rows at random positions (without repetition), or all of them, with their positions ascending. */
export function sampleRows(
  source: RowSource,
  dimensions: number,
  count: number,
  random: Random,
): { rows: Float32Array; positions: Uint32Array } {
  const positions = samplePositions(source.count, count, random);
  const rows = new Float32Array(positions.length * dimensions);
  positions.forEach((position, i) => {
    source.read(position, 1, rows, i);
  });
  return { rows, positions };
}

/** Different random integers below `total`, ascending; all of them where `count` is not smaller. */
export function samplePositions(total: number, count: number, random: Random): Uint32Array {
  if (count >= total) return Uint32Array.from({ length: total }, (_, i) => i);
  const isChosen = new Uint8Array(total);
  for (let chosen = 0; chosen < count; ) {
    const position = random.integer(total);
    if (isChosen[position] === 0) chosen++;
    isChosen[position] = 1;
  }
  const positions = new Uint32Array(count);
  for (let position = 0, found = 0; found < count; position++)
    if (isChosen[position] === 1) positions[found++] = position;
  return positions;
}

function meanRow(rows: Float32Array, dimensions: number): Float32Array {
  const sums = new Float64Array(dimensions);
  for (let i = 0; i < rows.length; i++) sums[i % dimensions] = (sums[i % dimensions] as number) + (rows[i] as number);
  return Float32Array.from(sums, (sum) => sum / (rows.length / dimensions));
}

/** Median distance of row 2i to row 2i + 1 of a random sample; 1 where there is none or it is 0. */
function medianDistance(rows: Float32Array, dimensions: number): number {
  const space = metricOf("euclidean");
  const distances: number[] = [];
  const half = Math.floor(rows.length / dimensions / 2);
  for (let i = 0; i < half; i++) {
    distances.push(space.distanceAt(rows, i * dimensions, rows, (i + half) * dimensions, dimensions));
  }
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] || 1;
}
