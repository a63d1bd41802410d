import type { CollectionSettings, FineTuneMetrics, Job } from "../../schemas/index.js";
import type { CollectionRecord, CollectionTables, Operation, Storage, VectorFile } from "../../storage/index.js";
import type { PayloadIndex } from "../index/index.js";
import type { Embedder } from "./encoding/embedder.js";
import type { LiveGeneration } from "./generations/live-generation.js";
import type { ContentRules } from "./items/item-content.js";
import type { ItemTable } from "./items/item-table.js";
import type { Logger } from "./logger.js";

/** A job as stored; `number` is its id as a number. */
export interface StoredJob extends Job {
  number: number;
}

/** A generation as stored. */
export interface StoredGeneration {
  number: number;
  createdAt: string;
  fineTune?: string;
  scope: "head" | null;
  loss?: string;
  metrics?: FineTuneMetrics;
  /** Its rows hold every item changed up to this sequence. */
  rowsSequence: number;
  items: number;
}

export type Tables = CollectionTables<StoredJob, StoredGeneration>;

/** Key in the state table: the sequence of the last committed change. */
export const SEQUENCE_KEY = "sequence";

/**
 * Changes the collection's record: in memory at once, so that of changes side by side none undoes another, and on disk with
 * the operation returned.
 */
export function changeRecord(
  state: Pick<CollectionState, "storage" | "record">,
  change: Partial<CollectionRecord>,
): Operation {
  state.record = { ...state.record, ...change };
  return state.storage.collections.put(state.record.name, state.record);
}

/** What the parts of one open collection share. Only the item writer and a switch of generations change it. */
export interface CollectionState {
  readonly storage: Storage;
  readonly tables: Tables;
  readonly directory: string;
  readonly rules: ContentRules;
  readonly embedder: Embedder;
  readonly log: Logger;
  readonly table: ItemTable;
  readonly payloads: PayloadIndex;
  /** Base rows: the encoder's output, or the vectors as given; row number = label. */
  readonly base: VectorFile;
  record: CollectionRecord;
  settings: CollectionSettings;
  active: LiveGeneration;
  /** Generations that a switch has open; they are not collected meanwhile. */
  readonly held: Set<number>;
  /** Sequence of the last committed change; `table` and `payloads` show exactly the changes up to it. */
  sequence: number;
}
