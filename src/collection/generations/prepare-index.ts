import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { IndexSwitch } from "../../../schemas/index.js";
import { indexDirectory, type VectorFile } from "../../../storage/index.js";
import { type HnswIndexOptions, openHnswIndex, type VectorIndex } from "../../index/index.js";
import type { CollectionState, StoredGeneration } from "../collection-state.js";
import { buildIndex, drainUnless } from "./build-index.js";
import { type EarlyRecall, efSearchOf } from "./early-recall.js";
import { indexIdentity, type OpenedIndex } from "./generation-index.js";
import { RecallSample } from "./recall-sample.js";
import { chooseBreadth } from "./search-breadth.js";

/** An index that lacks at most this many rows is completed where it is: that takes a second or two. */
const LITTLE = 2048;
/** A snapshot of the active index that lacks more changes than this is taken anew before its graph is kept. */
const BEHIND = 512;
/** A kept graph that lacks more than this share of the items is not worth it. */
const MOST_LACKING = 0.25;

export interface Preparation {
  stored: StoredGeneration;
  state: CollectionState;
  threads: number;
  /** Of a thread that builds an index. */
  niceness: number;
  signal: AbortSignal;
  /** What the index that serves finds, measured before. */
  early?: EarlyRecall;
  onProgress(progress: { done: number; total: number }): void;
}

export interface PreparedIndex extends OpenedIndex {
  /** What became of the graph; undefined where the generation's own was at hand. */
  outcome: IndexSwitch | undefined;
}

type Kept = { opened: OpenedIndex; outcome: IndexSwitch } | { outcome: IndexSwitch };

/** Whether the graph of the active index is kept at a switch, if it can be: of a small one there is nothing to gain. */
export function isWorthKeeping({ table }: Pick<CollectionState, "table">): boolean {
  return table.count > LITTLE;
}

/**
 * Saves the active index, where there is much that its snapshot lacks, so that its graph can be kept. To be called before it is looked at
 * what the next index is to hold: a label that is used again between the two would have the links of another item.
 */
export async function saveForKeeping(state: CollectionState): Promise<void> {
  const { active, log, record } = state;
  const lacking = active.sequence - active.checkpointed + active.unbuilt;
  if (!isWorthKeeping(state) || lacking <= BEHIND) return;
  try {
    await active.use(() => active.checkpoint());
  } catch (error) {
    log.warn(
      `Collection ${record.name}: the index of generation ${active.number} could not be saved: ${String(error)}`,
    );
  }
}

/**
 * Opens the index of a generation that is to go live, complete: from its own snapshot when that lacks little; else with the links of the
 * active generation's graph and its own vectors, when a sample is found well enough; else built from nothing.
 */
export async function prepareIndex(
  options: HnswIndexOptions,
  rows: VectorFile,
  preparation: Preparation,
): Promise<PreparedIndex> {
  const { stored, state, niceness, signal, onProgress } = preparation;
  const own = await openOwn(options, preparation);
  if (own !== undefined) return own;
  const kept = await keepGraph(options, rows, preparation);
  if ("opened" in kept) return { ...kept.opened, outcome: kept.outcome };
  state.log.info(
    `Collection ${state.record.name}: the index of generation ${stored.number} is built anew: ${kept.outcome.reason}`,
  );
  await buildIndex(options, { niceness, signal, onProgress });
  return { index: await openHnswIndex(options), breadth: 1, saved: options.lastSequence ?? 0, outcome: kept.outcome };
}

/** Opens what was saved of the generation's own index, or builds a small one in place; undefined where too much is missing. */
async function openOwn(options: HnswIndexOptions, preparation: Preparation): Promise<PreparedIndex | undefined> {
  const { stored, state } = preparation;
  const isSmall = options.live.labels.length <= LITTLE;
  if (!isSmall && !existsSync(indexDirectory(state.directory, stored.number))) return undefined;
  const index = await openHnswIndex(options);
  const { lag, provisional } = await index.status();
  // What an attempt that failed has left may not have been judged. (With the least breadth none is noted: that is found again.)
  const isUnjudged = provisional && stored.breadth === undefined && stored.number !== state.active.number;
  if (lag > LITTLE || isUnjudged) {
    await index.close();
    if (isUnjudged) await rm(indexDirectory(state.directory, stored.number), { recursive: true, force: true });
    return undefined;
  }
  await completed(index, preparation);
  const { breadth = 1 } = provisional ? stored : {};
  return { index, breadth, saved: lag === 0 ? stored.rowsSequence : 0, outcome: undefined };
}

/** Opens an index with the links of the active one, if it finds well enough what is near. */
async function keepGraph(options: HnswIndexOptions, rows: VectorFile, preparation: Preparation): Promise<Kept> {
  const { stored, state, signal } = preparation;
  const { active, directory, record, rules } = state;
  const no = (reason: string): Kept => ({ outcome: { kept: false, reason } });
  if (active.number === stored.number) return no("There is no other generation whose graph could be kept.");
  const carry = {
    snapshotDirectory: indexDirectory(directory, active.number),
    identity: indexIdentity(record.uid, active.number),
    rows: { path: active.rows.path, dimensions: rules.dimensions },
  };
  // What is truly near is found out while the index's thread is at the graph.
  const unneeded = new AbortController();
  const samples = drawSamples(options, rows, preparation, AbortSignal.any([signal, unneeded.signal]));
  samples.catch(() => {});
  const index = await openHnswIndex({ ...options, carry });
  if (!(await index.status()).provisional) {
    unneeded.abort();
    await index.close();
    return no("The saved graph cannot be used; the log says why.");
  }
  const judged = await judge(index, samples, preparation).catch((error: unknown) =>
    // The index that serves may die meanwhile, say; that is no reason not to replace it.
    no(`It could not be judged: ${String(error)}`),
  );
  if (!("opened" in judged)) {
    unneeded.abort();
    await index.close();
    // What is built instead must not begin with it.
    await rm(indexDirectory(directory, stored.number), { recursive: true, force: true });
    signal.throwIfAborted();
  }
  return judged;
}

interface Samples {
  /** Of the index that serves. */
  recallBefore: number;
  /** The same items with the rows of the next generation. */
  after: RecallSample;
}

/** What the index that serves finds is found out, where it is not known, while what the next one is to find is computed. */
async function drawSamples(
  { live: { labels } }: HnswIndexOptions,
  rows: VectorFile,
  { state, early, threads }: Preparation,
  signal: AbortSignal,
): Promise<Samples> {
  const { active, rules } = state;
  const draw = (rows: VectorFile) => RecallSample.draw({ rows, labels, rules }, { threads, signal });
  const known = await early?.taken(state);
  if (known !== undefined) return { recallBefore: known, after: await draw(rows) };
  const before = await draw(active.rows);
  const [recallBefore, after] = await Promise.all([before.recallIn(active.index, efSearchOf(state)), draw(rows)]);
  return { recallBefore, after };
}

/** Whether the kept graph finds well enough what is near, and how wide its searches have to be. */
async function judge(index: VectorIndex, samples: Promise<Samples>, preparation: Preparation): Promise<Kept> {
  const { state, stored, signal } = preparation;
  const { settings } = state;
  const { lag, points } = await index.status();
  if (lag > points * MOST_LACKING) {
    return { outcome: { kept: false, reason: `${lag} of ${points} items are not in the saved graph.` } };
  }
  await completed(index, preparation);
  const { efSearch } = settings.index;
  const { recallBefore, after } = await samples;
  const recallIn = after.widening(index);
  const recallAt = (breadth: number) => {
    signal.throwIfAborted();
    return recallIn(Math.ceil(efSearch * breadth));
  };
  const chosen = await chooseBreadth(recallAt, recallBefore);
  if (chosen === undefined) {
    const reason = `With the old links searches do not find enough (recall@10 was ${recallBefore.toFixed(3)}).`;
    return { outcome: { kept: false, reason, recallBefore } };
  }
  return {
    opened: { index, breadth: chosen.breadth, saved: stored.rowsSequence },
    outcome: { kept: true, recallBefore, ...chosen },
  };
}

/** Waits until the index lacks nothing; closes it when that is given up. */
async function completed(index: VectorIndex, { signal, onProgress }: Preparation): Promise<void> {
  try {
    await drainUnless(signal, index, onProgress);
  } catch (error) {
    await index.close();
    throw error;
  }
}
