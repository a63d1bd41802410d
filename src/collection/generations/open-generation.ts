import { encoderFile, generationVectorsFile, headFile, VectorFile } from "../../../storage/index.js";
import { type HnswIndexOptions, openHnswIndex } from "../../index/index.js";
import type { CollectionState, StoredGeneration } from "../collection-state.js";
import { EmbeddingSpace, type OnDone } from "./embedding-space.js";
import { indexOptions, type OpenedIndex } from "./generation-index.js";
import { Head } from "./head.js";
import { applyHead, LiveGeneration } from "./live-generation.js";

export interface OpenGenerationOptions {
  /** Threads of the head's session. */
  threads: number;
  /** Its space is filled by every write, because it is the active one. */
  active: boolean;
  /** Labels whose points the index has forgotten. */
  onCompacted(labels: Uint32Array): void;
  /** Rows embedded so far. */
  onEmbedded?: OnDone;
  /** @default opens it as its snapshot has it: it answers at once and builds the rest in the background */
  openIndex?: (options: HnswIndexOptions, rows: VectorFile) => Promise<OpenedIndex>;
}

/** The parts of a collection that a generation is opened with; `sequence` is what `table` shows. */
type Parts = Omit<CollectionState, "active" | "held">;

/** Opens a generation as of now: embeds the items that its rows do not have yet, and opens the index. */
export async function openGeneration(
  stored: StoredGeneration,
  parts: Parts,
  options: OpenGenerationOptions,
): Promise<LiveGeneration> {
  const { directory, rules, table } = parts;
  const { number, scope } = stored;
  const ownSpace = scope === "encoder";
  const space = ownSpace ? await openTunedSpace(stored, parts, options.active) : parts.base;
  let rows = space.rows;
  let head: Promise<Head> | undefined;
  let opened: OpenedIndex | undefined;
  try {
    if (ownSpace && options.active) await space.restore(space.lost());
    if (scope === "head") {
      rows = await VectorFile.open(generationVectorsFile(directory, number), rules.dimensions);
      // Its thread starts beside the index's, unless something has to be embedded first.
      head = Head.open(headFile(directory, number), rules.dimensions, options.threads);
      head.catch(() => {});
    }
    // Taken in one turn of the event loop, so that they belong together.
    const items = table.snapshot();
    const sequence = parts.sequence;
    const changed = table.changedSince(stored.rowsSequence);
    await space.fill(sequence, options.onEmbedded);
    const lacking = space.withRows(changed);
    if (lacking.length > 0) await applyHead(await head, lacking, space.rows, rows, options.onEmbedded);
    const labels = space.withRows(items.labels);
    const live = { labels, sequences: items.sequences.slice(0, labels.length) };
    const { onCompacted, openIndex = (index) => openSaved(index, stored) } = options;
    const index = indexOptions(number, rows, live, { ...parts, sequence });
    opened = await openIndex({ ...index, onCompacted }, rows);
    return new LiveGeneration({ number, space, ownSpace, head: await head, rows, opened, labels, sequence });
  } catch (error) {
    // The threads of index, head and encoder would keep the process alive.
    await opened?.index.close();
    await head?.then(
      (open) => open.close(),
      () => {},
    );
    if (rows !== space.rows) await rows.close();
    if (ownSpace) await space.close();
    throw error;
  }
}

async function openSaved(options: HnswIndexOptions, stored: StoredGeneration): Promise<OpenedIndex> {
  const index = await openHnswIndex(options);
  const { provisional, lag } = await index.status();
  return { index, breadth: provisional ? (stored.breadth ?? 1) : 1, saved: stored.rowsSequence, unbuilt: lag };
}

/** The space of a tuned encoder: its model and its rows, both in the generation's folder. */
async function openTunedSpace(stored: StoredGeneration, parts: Parts, active: boolean): Promise<EmbeddingSpace> {
  const { directory, rules, tables, table, inputs, storage, encoder } = parts;
  const { number } = stored;
  if (encoder === undefined) throw new Error(`generation ${number} has a tuned encoder, and the collection has none`);
  const tuned = await encoder.open(encoderFile(directory, number));
  try {
    const rows = await VectorFile.open(generationVectorsFile(directory, number), rules.dimensions);
    const save = async (rowsSequence: number) => {
      const record = await tables.generations.get(number);
      // One that is being made has no record yet.
      if (record !== undefined) await storage.write([tables.generations.put(number, { ...record, rowsSequence })]);
    };
    const sequence = active ? parts.sequence : stored.rowsSequence;
    return new EmbeddingSpace({ ...tuned, rows, sequence, table, inputs, save });
  } catch (error) {
    await tuned.release();
    throw error;
  }
}
