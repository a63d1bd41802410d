import { generationVectorsFile, headFile, indexDirectory, VectorFile } from "../../../storage/index.js";
import { openHnswIndex } from "../../index/index.js";
import type { CollectionState, StoredGeneration } from "../collection-state.js";
import { Head } from "./head.js";
import { embedRows, LiveGeneration, type OnDone } from "./live-generation.js";

export interface OpenGenerationOptions {
  /** Priority of the thread that builds the index: 0 for one that serves already, above 0 for one that is being prepared. */
  niceness: number;
  /** Threads of the head's session. */
  threads: number;
  /** Labels whose points the index has forgotten. */
  onCompacted(labels: Uint32Array): void;
  /** Rows embedded so far. */
  onEmbedded?: OnDone;
}

/** The parts of a collection that a generation is opened with; `sequence` is what `table` shows. */
type Parts = Pick<
  CollectionState,
  "directory" | "rules" | "settings" | "base" | "table" | "sequence" | "record" | "log"
>;

/**
 * Opens a generation as of now: embeds the items that its row file does not have yet, and opens the index, which answers at
 * once and builds what its snapshot lacks in the background.
 */
export async function openGeneration(
  stored: StoredGeneration,
  parts: Parts,
  options: OpenGenerationOptions,
): Promise<LiveGeneration> {
  const { directory, rules, settings, base, table, record, log } = parts;
  const { number, scope } = stored;
  const live = table.snapshot();
  const sequence = parts.sequence;
  const changed = table.changedSince(stored.rowsSequence);
  const head =
    scope === null ? undefined : await Head.open(headFile(directory, number), rules.dimensions, options.threads);
  let rows = base;
  try {
    if (head !== undefined) {
      rows = await VectorFile.open(generationVectorsFile(directory, number), rules.dimensions);
    }
    await embedRows(changed, base, head, rows, options.onEmbedded);
    const index = await openHnswIndex({
      rows: { path: rows.path, dimensions: rules.dimensions },
      metric: rules.metric,
      parameters: settings.index,
      snapshotDirectory: indexDirectory(directory, number),
      identity: `${record.uid}/${number}`,
      lastSequence: sequence,
      live,
      niceness: options.niceness,
      onCompacted: options.onCompacted,
      log: (message: string) => log.info(message),
    });
    return new LiveGeneration(number, head, base, rows, index, live.labels, sequence, stored.rowsSequence);
  } catch (error) {
    // The head's thread would keep the process alive.
    await head?.close();
    if (rows !== base) await rows.close();
    throw error;
  }
}
