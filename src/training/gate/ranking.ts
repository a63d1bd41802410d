import { midRank } from "../../evaluation/index.js";
import { TopK } from "../../vector/top-k.js";
import type { ClosenessBlock } from "./closeness-scan.js";

/** Closeness computed block by block and alone differs in the last bits of float32; within this, two count as equal. */
const TIE = 1e-6;

/** One query whose targets are ranked. */
export interface RankQuery {
  /** Row of the query among the queries of the scan. */
  row: number;
  /** Closeness of each target. */
  targets: readonly number[];
  /** Position of each target among the scanned rows, -1 where it is none of them. */
  targetPositions: readonly number[];
  /** Positions that do not count: the query itself and what is known to be similar to it. Ascending. */
  excluded: readonly number[];
}

/** Counts, over the blocks of a scan, how many rows are closer to a query than its targets. */
export class RankCounter {
  readonly #queries: readonly RankQuery[];
  readonly #closer: number[][];
  readonly #tied: number[][];

  constructor(queries: readonly RankQuery[]) {
    this.#queries = queries;
    this.#closer = queries.map((query) => query.targets.map(() => 0));
    this.#tied = queries.map((query) => query.targets.map(() => 0));
  }

  visit(block: ClosenessBlock): void {
    for (const [q, query] of this.#queries.entries()) {
      const offset = query.row * block.count;
      const row = block.closeness.subarray(offset, offset + block.count);
      const excluded = within(query.excluded, block);
      for (const [t, target] of query.targets.entries()) {
        const own = query.targetPositions[t] ?? -1;
        const ownHere = own >= block.start && own < block.start + block.count && !excluded.includes(own);
        const skipped = ownHere ? [...excluded, own] : excluded;
        const bounds = { above: target + tolerance(target), below: target - tolerance(target) };
        const all = countNear(row, bounds);
        const known = countNearAt(row, skipped, block.start, bounds);
        const closer = all.closer - known.closer;
        this.#add(q, t, closer, all.notFarther - known.notFarther - closer);
      }
    }
  }

  /** Rank of each target of each query, from 1; ties count half. */
  ranks(): number[][] {
    return this.#closer.map((counts, q) => counts.map((closer, t) => midRank(closer, this.#tied[q]?.[t] ?? 0)));
  }

  #add(query: number, target: number, closer: number, tied: number): void {
    const closerOf = this.#closer[query] ?? [];
    const tiedOf = this.#tied[query] ?? [];
    closerOf[target] = (closerOf[target] ?? 0) + closer;
    tiedOf[target] = (tiedOf[target] ?? 0) + tied;
  }
}

/** Collects, over the blocks of a scan, the nearest rows of some queries, themselves left out. */
export class NeighbourCollector {
  readonly #rows: readonly number[];
  readonly #positions: readonly number[];
  readonly #nearest: TopK[];

  /** @param rows rows of the queries in the scan; `positions` their own positions among the scanned rows */
  constructor(rows: readonly number[], positions: readonly number[], k: number) {
    this.#rows = rows;
    this.#positions = positions;
    this.#nearest = rows.map(() => new TopK(k));
  }

  visit(block: ClosenessBlock): void {
    this.#rows.forEach((row, q) => {
      const nearest = this.#nearest[q];
      if (nearest === undefined) return;
      const offset = row * block.count;
      const own = (this.#positions[q] ?? -1) - block.start;
      // Nearly all are farther than what was found, and the loop over them asks nobody.
      let closest = -nearest.bound;
      for (let i = 0; i < block.count; i++) {
        const closeness = block.closeness[offset + i] as number;
        if (!(closeness >= closest) || i === own) continue;
        nearest.push(block.start + i, -closeness);
        closest = -nearest.bound;
      }
    });
  }

  /** Positions of the nearest rows of each query. The collector is empty afterwards. */
  neighbours(): Uint32Array[] {
    return this.#nearest.map((nearest) => nearest.sorted().labels);
  }
}

/** Beyond `above` a value is closer than a target, below `below` farther; between the two, equal. */
interface Bounds {
  above: number;
  below: number;
}

interface Near {
  closer: number;
  /** Closer or equal. */
  notFarther: number;
}

/**
 * How many values are closer than a target, and how many are not farther. What is no number counts as closer: it must never make a rank
 * look good. A plain loop over a typed array that adds comparisons up, as judging spends its JavaScript time here: where values lie to
 * either side of a target, a loop that branches takes two to four times as long.
 */
function countNear(values: Float32Array, { above, below }: Bounds): Near {
  let farther = 0;
  let notCloser = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    farther += Number(value < below);
    notCloser += Number(value <= above);
  }
  return { closer: values.length - notCloser, notFarther: values.length - farther };
}

/** The same of the values at some positions only. */
function countNearAt(values: Float32Array, positions: readonly number[], start: number, bounds: Bounds): Near {
  return countNear(
    Float32Array.from(positions, (position) => values[position - start] as number),
    bounds,
  );
}

function tolerance(target: number): number {
  return TIE * Math.max(1, Math.abs(target));
}

/** The part of an ascending list that lies in a block. */
function within(positions: readonly number[], block: ClosenessBlock): readonly number[] {
  const from = lowerBound(positions, block.start);
  const to = lowerBound(positions, block.start + block.count);
  return from === to ? [] : positions.slice(from, to);
}

/** Where in an ascending list a value stands, or would. */
export function lowerBound(sorted: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
