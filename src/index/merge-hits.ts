import { metricOf, type SearchHits } from "../vector/index.js";
import { isNearTie } from "./near-tie.js";
import { RowFile } from "./row-file.js";
import type { IndexOptions } from "./vector-index.js";

interface Hit {
  label: number;
  distance: number;
  /** Which part it is of. */
  part: number;
}

/**
 * The `k` nearest of what several indexes over one row file found for a query, each its own `k` nearest.
 *
 * Equal rows must tie, but in one index a row may be in the graph and in another be found by comparison, and the two distances differ by
 * rounding. So where hits of different parts are that near, their rows are read, and equal ones get the smaller distance.
 *
 * @param parts each ascending by distance, ties ascending by label, as is the result
 */
export function mergeHits(
  parts: readonly SearchHits[],
  k: number,
  source: Pick<IndexOptions, "rows" | "metric">,
): SearchHits {
  const hits = nearestOf(parts, k);
  const groups = nearTies(hits);
  if (groups.length > 0) {
    const rows = new RowFile(source.rows, metricOf(source.metric));
    try {
      for (const group of groups) levelEqualRows(group, rows);
    } finally {
      rows.close();
    }
    hits.sort(inOrder);
  }
  const kept = hits.slice(0, k);
  return {
    labels: Uint32Array.from(kept, ({ label }) => label),
    distances: Float64Array.from(kept, ({ distance }) => distance),
  };
}

/** The nearest of all parts in order: `k`, and what is behind them by a near tie. */
function nearestOf(parts: readonly SearchHits[], k: number): Hit[] {
  const taken = new Uint32Array(parts.length);
  const take = (part: number): Hit | undefined => {
    const { labels, distances } = parts[part] as SearchHits;
    const i = taken[part] as number;
    taken[part] = i + 1;
    return i < labels.length ? { label: labels[i] as number, distance: distances[i] as number, part } : undefined;
  };
  const heads = parts.map((_, part) => take(part));
  const hits: Hit[] = [];
  for (;;) {
    const next = heads.reduce(nearer);
    const last = hits[k - 1];
    if (next === undefined || (last !== undefined && !isNearTie(last.distance, next.distance))) return hits;
    hits.push(next);
    heads[next.part] = take(next.part);
  }
}

function nearer(a: Hit | undefined, b: Hit | undefined): Hit | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return inOrder(a, b) <= 0 ? a : b;
}

/** Ascending by distance, then by label. */
function inOrder(a: Hit, b: Hit): number {
  return a.distance - b.distance || a.label - b.label;
}

/** Runs of hits of which each is a near tie with the one before, from different parts, at different distances. */
function nearTies(hits: readonly Hit[]): Hit[][] {
  const groups: Hit[][] = [];
  for (let start = 0; start < hits.length; ) {
    const first = hits[start] as Hit;
    let mixed = false;
    let end = start + 1;
    for (; end < hits.length; end++) {
      const [before, hit] = [hits[end - 1] as Hit, hits[end] as Hit];
      if (!isNearTie(before.distance, hit.distance)) break;
      mixed ||= hit.part !== first.part;
    }
    if (mixed && hits[end - 1]?.distance !== first.distance) groups.push(hits.slice(start, end));
    start = end;
  }
  return groups;
}

/** Gives hits of equal rows the distance of the nearest of them. */
function levelEqualRows(hits: readonly Hit[], rows: RowFile): void {
  const block = rows.read(hits.map(({ label }) => label));
  const rowBytes = rows.dimensions * 4;
  const nearest = new Map<string, number>();
  hits.forEach((hit, i) => {
    const row = Buffer.from(block.buffer, block.byteOffset + i * rowBytes, rowBytes).toString("latin1");
    const distance = nearest.get(row);
    if (distance === undefined) nearest.set(row, hit.distance);
    else hit.distance = distance;
  });
}
