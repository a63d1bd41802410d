import { StorageError } from "./errors.js";

/** Consecutive labels, `label` onwards; `positions[i]` is where label + i stands in the caller's list. */
export interface Run {
  label: number;
  positions: number[];
  /** The positions are consecutive too, so that the rows can be moved without copying. */
  adjacent: boolean;
}

/**
 * Sorts labels and groups consecutive ones, so that each run is one transfer. Of a label that stands there twice only the
 * last position is kept, or with `keepRepeats` each begins a run of its own.
 *
 * @throws invalid_rows when a label is not a whole number from 0 to `maxLabel`
 */
export function runsOf(labels: ArrayLike<number>, maxLabel: number, { keepRepeats = false } = {}): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const position of sortedPositions(labels, maxLabel)) {
    const label = labels[position] ?? 0;
    const last = run === undefined ? -1 : run.label + run.positions.length - 1;
    if (run !== undefined && label === last && !keepRepeats) {
      run.positions[run.positions.length - 1] = position;
    } else if (run !== undefined && label === last + 1) {
      run.positions.push(position);
    } else {
      run = { label, positions: [position], adjacent: true };
      runs.push(run);
    }
  }
  for (const each of runs) each.adjacent = isAdjacent(each.positions);
  return runs;
}

function isAdjacent(positions: readonly number[]): boolean {
  const first = positions[0] ?? 0;
  return positions.every((position, i) => position === first + i);
}

function sortedPositions(labels: ArrayLike<number>, maxLabel: number): ArrayLike<number> & Iterable<number> {
  const positions = new Uint32Array(labels.length);
  let ascending = true;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] ?? Number.NaN;
    if (!Number.isInteger(label) || label < 0 || label > maxLabel) {
      throw new StorageError("invalid_rows", `Label ${String(labels[i])} is not a whole number from 0 to ${maxLabel}.`);
    }
    positions[i] = i;
    if (i > 0 && label < (labels[i - 1] ?? 0)) ascending = false;
  }
  // Positions decide between equal labels, so that the last one wins.
  return ascending ? positions : positions.sort((a, b) => (labels[a] ?? 0) - (labels[b] ?? 0) || a - b);
}
