import type { CollectionSettings, FineTuneMetrics, Job } from "../../schemas/index.js";
import type { CollectionRecord, CollectionTables, ContentStore, Operation, Storage } from "../../storage/index.js";
import type { PayloadIndex } from "../index/index.js";
import type { EncodingLoad } from "./encoding/encoding-load.js";
import type { TunableEncoder } from "./encoding/tunable-encoder.js";
import type { EmbeddingSpace } from "./generations/embedding-space.js";
import type { ItemInputs } from "./generations/item-inputs.js";
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
  /** What was trained: null is the untuned generation. */
  scope: "head" | "encoder" | null;
  loss?: string;
  metrics?: FineTuneMetrics;
  /** SHA-256 of its model in hexadecimal. */
  checksum?: string;
  /** Its rows hold every item changed up to this sequence. */
  rowsSequence: number;
  items: number;
  /** While its index is provisional: what efSearch is multiplied by. */
  breadth?: number;
}

export type Tables = CollectionTables<StoredJob, StoredGeneration>;

/** Key in the state table: the sequence of the last committed change. */
export const SEQUENCE_KEY = "sequence";
/** Key in the state table: up to which sequence the base rows are filled, for the time in which the active generation has rows of its own. */
export const BASE_SEQUENCE_KEY = "baseSequence";

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
  readonly log: Logger;
  /** Of the encoders of all collections. */
  readonly load: EncodingLoad;
  readonly table: ItemTable;
  readonly payloads: PayloadIndex;
  /** Image files of items and of feedback. */
  readonly content: ContentStore;
  readonly inputs: ItemInputs;
  /** The space of the collection's own encoder, or of the vectors as given. */
  readonly base: EmbeddingSpace;
  /** The collection's own encoder; vectors have none. */
  readonly encoder: TunableEncoder | undefined;
  record: CollectionRecord;
  settings: CollectionSettings;
  active: LiveGeneration;
  /** Generations that a switch has open; they are not collected meanwhile. */
  readonly held: Set<number>;
  /** Sequence of the last committed change; `table` and `payloads` show exactly the changes up to it. */
  sequence: number;
}
