import { indexDirectory, type VectorFile } from "../../../storage/index.js";
import type { HnswIndexOptions, LiveRows, VectorIndex } from "../../index/index.js";
import type { CollectionState } from "../collection-state.js";
import type { LabelAllocator } from "../items/label-allocator.js";

/** An index that a generation is opened with. */
export interface OpenedIndex {
  index: VectorIndex;
  /** What efSearch is multiplied by. */
  breadth: number;
  /** The sequence of its snapshot on disk. */
  saved: number;
  /** Rows that the snapshot lacks although they were written before. @default 0 */
  unbuilt?: number;
}

/** What the index of a generation is opened with, as of `sequence`. */
export function indexOptions(
  number: number,
  rows: VectorFile,
  live: LiveRows,
  { directory, rules, settings, record, log, load, sequence }: Omit<CollectionState, "active" | "held">,
): HnswIndexOptions {
  return {
    rows: { path: rows.path, dimensions: rules.dimensions },
    metric: rules.metric,
    parameters: settings.index,
    snapshotDirectory: indexDirectory(directory, number),
    identity: indexIdentity(record.uid, number),
    lastSequence: sequence,
    busy: load.calls,
    live,
    log: (message: string) => log.info(message),
  };
}

export function indexIdentity(uid: string, generation: number): string {
  return `${uid}/${generation}`;
}

/** Gives labels that the index of the active generation has forgotten back into use. */
export function releaseWhileActive(number: number, state: CollectionState, labels: LabelAllocator) {
  return (gone: Uint32Array) => {
    if (state.active.number === number) labels.release(gone);
  };
}
