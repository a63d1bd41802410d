import { readdir, rm } from "node:fs/promises";
import type { CollectionSettings } from "../../schemas/index.js";
import {
  baseVectorsFile,
  type CollectionRecord,
  generationDirectory,
  generationsDirectory,
  jobsDirectory,
  type Storage,
  VectorFile,
} from "../../storage/index.js";
import type { Encoder } from "../encoder/index.js";
import { AttuneError } from "../errors/index.js";
import { PayloadIndex } from "../index/index.js";
import { type CollectionState, SEQUENCE_KEY, type StoredGeneration, type Tables } from "./collection-state.js";
import { Embedder } from "./encoding/embedder.js";
import { openGeneration } from "./generations/open-generation.js";
import type { ContentRules } from "./items/item-content.js";
import { ItemTable } from "./items/item-table.js";
import { LabelAllocator } from "./items/label-allocator.js";
import type { Limits } from "./limits.js";
import type { Logger } from "./logger.js";

/** Version of the base rows' directory; a new encoder would bring a new one. */
const BASE_VERSION = 1;
const REPAIR_BLOCK = 1024;

export interface OpenParts {
  storage: Storage;
  encoder: Encoder | undefined;
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
  const settings = record.current as CollectionSettings;
  const rules: ContentRules = {
    modality: settings.modality,
    dimensions: record.dimensions,
    metric: settings.metric,
    limits: parts.limits,
  };
  const embedder = new Embedder(record.name, encoder, settings.prompts, log);
  const table = new ItemTable();
  const payloads = new PayloadIndex();
  let sequence = Number((await tables.state.get(SEQUENCE_KEY)) ?? 0);
  await tables.items.scan((id, item) => {
    table.set(id, item.label, item.contentSequence);
    payloads.set(item.label, item.payload);
    sequence = Math.max(sequence, item.sequence);
  });
  const labels = allocatorOf(table);
  const base = await VectorFile.open(baseVectorsFile(directory, BASE_VERSION), record.dimensions);
  await cleanUp(record, tables, directory);
  const repaired = {
    storage,
    tables,
    directory,
    rules,
    embedder,
    log,
    table,
    payloads,
    base,
    record,
    settings,
    sequence,
  };
  await repairBaseRows(repaired);
  await base.truncate(labels.bound);
  const stored = await tables.generations.get(record.activeGeneration);
  if (stored === undefined) {
    throw new AttuneError(
      "internal",
      `Collection ${record.name}: the record of generation ${record.activeGeneration} is missing.`,
    );
  }
  const active = await openGeneration(stored, repaired, {
    niceness: 0,
    threads: parts.threads,
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

/** Removes what a crash left: folders of jobs, and of generations that have no record. */
async function cleanUp(record: CollectionRecord, tables: Tables, directory: string): Promise<void> {
  await rm(jobsDirectory(directory), { recursive: true, force: true });
  const known = new Set<string>([String(record.activeGeneration)]);
  for await (const [number] of tables.generations.entries()) known.add(String(number));
  const found = await readdir(generationsDirectory(directory)).catch(() => []);
  for (const name of found) {
    if (known.has(name) || !/^[0-9]+$/.test(name)) continue;
    await rm(generationDirectory(directory, Number(name)), { recursive: true, force: true });
  }
}

/**
 * Items whose base row is beyond the end of the file, which only a lost or cut file can cause: texts are encoded again;
 * vectors were the only copy, so the collection refuses to open rather than answer wrongly.
 */
async function repairBaseRows({
  base,
  table,
  tables,
  embedder,
  record,
  log,
}: Omit<CollectionState, "active" | "held">): Promise<void> {
  const missing: string[] = [];
  for (const label of table.live) {
    const id = table.idOf(label);
    if (label >= base.rows() && id !== undefined) missing.push(id);
  }
  if (missing.length === 0) return;
  log.warn(`Collection ${record.name}: ${missing.length} rows are missing from ${base.path}.`);
  for (let first = 0; first < missing.length; first += REPAIR_BLOCK) {
    const ids = missing.slice(first, first + REPAIR_BLOCK);
    const items = (await tables.items.getMany(ids)).flatMap((item) => item ?? []);
    const texts = items.flatMap(({ text }) => text ?? []);
    if (texts.length < items.length) {
      throw new AttuneError(
        "internal",
        `Collection ${record.name}: ${missing.length} vectors are missing from ${base.path}, the only place that holds them. Restore the data directory from a backup, or delete the collection.`,
      );
    }
    await base.write(
      Uint32Array.from(items, ({ label }) => label),
      await embedder.embed(texts, "item"),
    );
  }
  await base.sync();
}
