import { readdir, rm } from "node:fs/promises";
import type { CollectionSettings } from "../../schemas/index.js";
import {
  baseVectorsFile,
  type CollectionRecord,
  ContentStore,
  generationDirectory,
  generationsDirectory,
  type Storage,
  VectorFile,
} from "../../storage/index.js";
import type { Encoder } from "../encoder/index.js";
import { AttuneError } from "../errors/index.js";
import { PayloadIndex } from "../index/index.js";
import {
  BASE_SEQUENCE_KEY,
  type CollectionState,
  SEQUENCE_KEY,
  type StoredGeneration,
  type Tables,
} from "./collection-state.js";
import { Embedder } from "./encoding/embedder.js";
import type { EncoderPool } from "./encoding/encoder-pool.js";
import { TunableEncoder } from "./encoding/tunable-encoder.js";
import { EmbeddingSpace } from "./generations/embedding-space.js";
import { ItemInputs } from "./generations/item-inputs.js";
import { openGeneration } from "./generations/open-generation.js";
import type { ContentRules } from "./items/item-content.js";
import { ItemTable } from "./items/item-table.js";
import { LabelAllocator } from "./items/label-allocator.js";
import type { Limits } from "./limits.js";
import type { Logger } from "./logger.js";
import { readSettings } from "./settings.js";

/** Version of the base rows' directory; a new encoder would bring a new one. */
const BASE_VERSION = 1;

export interface OpenParts {
  storage: Storage;
  encoder: Encoder | undefined;
  encoders: EncoderPool;
  limits: Limits;
  threads: number;
  log: Logger;
}

export interface OpenedState {
  state: CollectionState;
  labels: LabelAllocator;
}

/** The record of generation 0, the untuned one. */
export function untuned(): StoredGeneration {
  return { number: 0, createdAt: new Date().toISOString(), scope: null, rowsSequence: 0, items: 0 };
}

/**
 * Opens a collection from what is on disk. Level is the truth: the table of items, the free labels and the payload index are
 * read from it; rows are checked against it, files that no record names are removed, and the index is brought up to it.
 */
export async function openCollectionState(record: CollectionRecord, parts: OpenParts): Promise<OpenedState> {
  const { storage, encoder, log } = parts;
  const tables: Tables = storage.collection(record.uid);
  const directory = storage.collectionDirectory(record.uid);
  const settings = readSettings(record.current as CollectionSettings);
  const rules: ContentRules = {
    modality: settings.modality,
    accepts: encoder?.accepts ?? { text: false, image: false },
    dimensions: record.dimensions,
    metric: settings.metric,
    limits: parts.limits,
  };
  const embedderOf = (used: Encoder | undefined) =>
    new Embedder(record.name, used, settings.prompts, log, parts.encoders);
  const table = new ItemTable();
  const payloads = new PayloadIndex();
  const content = new ContentStore(directory, storage.durability);
  let sequence = Number((await tables.state.get(SEQUENCE_KEY)) ?? 0);
  await tables.items.scan((id, item) => {
    table.set(id, item.label, item.contentSequence, item.payload !== null);
    if (item.image !== undefined) content.retain(item.image.hash);
    payloads.set(item.label, item.payload);
    sequence = Math.max(sequence, item.sequence);
  });
  const labels = allocatorOf(table);
  const stored = await tables.generations.get(record.activeGeneration);
  if (stored === undefined) {
    throw new AttuneError(
      "internal",
      `Collection ${record.name}: the record of generation ${record.activeGeneration} is missing.`,
    );
  }
  await cleanUp(record, tables, directory);
  const inputs = new ItemInputs(tables, table, content);
  const base = new EmbeddingSpace({
    embedder: embedderOf(encoder),
    rows: await VectorFile.open(baseVectorsFile(directory, BASE_VERSION), record.dimensions),
    // Only a generation with rows of its own leaves the base rows behind.
    sequence: stored.scope === "encoder" ? Number((await tables.state.get(BASE_SEQUENCE_KEY)) ?? 0) : sequence,
    table,
    inputs,
    save: (reached) => storage.write([tables.state.put(BASE_SEQUENCE_KEY, reached)]),
  });
  const repaired = {
    storage,
    tables,
    directory,
    rules,
    log,
    load: parts.encoders.load,
    table,
    payloads,
    content,
    inputs,
    base,
    encoder: encoder && new TunableEncoder(parts.encoders, encoder.id, embedderOf),
    record,
    settings,
    sequence,
  };
  await repairBaseRows(repaired);
  const active = await openGeneration(stored, repaired, {
    threads: parts.threads,
    active: true,
    onCompacted: (gone) => {
      if (state.active.number === stored.number) labels.release(gone);
    },
  });
  const state: CollectionState = { ...repaired, active, held: new Set() };
  return { state, labels };
}

function allocatorOf(table: ItemTable): LabelAllocator {
  const { labels } = table.snapshot();
  const bound = (labels.at(-1) ?? -1) + 1;
  const free: number[] = [];
  for (let label = 0; label < bound; label++) if (!table.live.has(label)) free.push(label);
  return new LabelAllocator(bound, free);
}

/** Removes what a crash left of generations that have no record. */
async function cleanUp(record: CollectionRecord, tables: Tables, directory: string): Promise<void> {
  const known = new Set<string>([String(record.activeGeneration)]);
  for await (const [number] of tables.generations.entries()) known.add(String(number));
  const found = await readdir(generationsDirectory(directory)).catch(() => []);
  for (const name of found) {
    if (known.has(name) || !/^[0-9]+$/.test(name)) continue;
    await rm(generationDirectory(directory, Number(name)), { recursive: true, force: true });
  }
}

/**
 * Items whose base row is beyond the end of the file, which only a lost or cut file can cause: contents are encoded again;
 * vectors were the only copy, so the collection refuses to open rather than answer wrongly.
 */
async function repairBaseRows({ base, rules, record, log }: Omit<CollectionState, "active" | "held">): Promise<void> {
  const lost = base.lost();
  if (lost.length === 0) return;
  const { path } = base.rows;
  log.warn(`Collection ${record.name}: ${lost.length} rows are missing from ${path}.`);
  if (rules.modality === "vector") {
    throw new AttuneError(
      "internal",
      `Collection ${record.name}: ${lost.length} vectors are missing from ${path}, the only place that holds them. Restore the data directory from a backup, or delete the collection.`,
    );
  }
  await base.restore(lost);
}
