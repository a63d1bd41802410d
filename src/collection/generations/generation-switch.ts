import { rm } from "node:fs/promises";
import { generationDirectory, type Operation } from "../../../storage/index.js";
import {
  BASE_SEQUENCE_KEY,
  type CollectionState,
  changeRecord,
  type StoredGeneration,
  type StoredJob,
} from "../collection-state.js";
import type { ItemWriter } from "../items/item-writer.js";
import type { LabelAllocator } from "../items/label-allocator.js";
import type { JobBook } from "../jobs/job-book.js";
import type { JobReport } from "../jobs/job-report.js";
import type { EarlyRecall } from "./early-recall.js";
import { releaseWhileActive } from "./generation-index.js";
import type { IndexRebuild } from "./index-rebuild.js";
import type { LiveGeneration } from "./live-generation.js";
import { openGeneration } from "./open-generation.js";
import { type PreparedIndex, prepareIndex, saveForKeeping } from "./prepare-index.js";

/** A generation that is behind by at most this many changes is near enough for the last step, in which writes wait. */
const NEAR = 256;

export interface SwitchParts {
  state: CollectionState;
  writer: ItemWriter;
  labels: LabelAllocator;
  jobs: JobBook;
  rebuild: IndexRebuild;
  threads: number;
  /** Work beside the server's own is this much less urgent. */
  niceness: number;
  /** What the index that serves finds, where that was measured before. */
  early?: EarlyRecall;
}

/**
 * Makes a generation the active one while the present one serves: embed what it lacks, prepare its index, catch up with the
 * writes made meanwhile, and switch in one Level batch between two writes. Until that batch nothing has changed; a failure
 * or an abort leaves the active generation as it was. Where the index is provisional, its rebuild begins when the switch is over.
 */
export async function switchTo(
  stored: StoredGeneration,
  job: StoredJob,
  parts: SwitchParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  // Never a third graph in memory.
  await parts.rebuild.stop();
  try {
    await replaceActive(stored, job, parts, report, signal);
  } finally {
    parts.rebuild.start();
  }
}

async function replaceActive(
  stored: StoredGeneration,
  job: StoredJob,
  parts: SwitchParts,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  const { state, labels, threads, niceness, early } = parts;
  const embedded = { at: 0 };
  let prepared: PreparedIndex | undefined;
  await saveForKeeping(state);
  const generation = await openGeneration(stored, state, {
    threads,
    onCompacted: releaseWhileActive(stored.number, state, labels),
    active: stored.number === state.active.number,
    onEmbedded: (done, total) => {
      signal.throwIfAborted();
      report.progress("reEmbedding", { done, total, unit: "items" });
    },
    openIndex: async (options, rows) => {
      signal.throwIfAborted();
      embedded.at = performance.now();
      report.progress("indexing", { done: 0, total: 0, unit: "items" });
      const onProgress = (progress: { done: number; total: number }) =>
        report.progress("indexing", { ...progress, unit: "items" });
      prepared = await prepareIndex(options, rows, { stored, state, threads, niceness, early, signal, onProgress });
      return prepared;
    },
  });
  let previous: LiveGeneration | undefined;
  let releaseLabels = () => {};
  try {
    signal.throwIfAborted();
    await catchUp(generation, state, report, signal);
    await parts.writer.exclusive(async () => {
      signal.throwIfAborted();
      await generation.catchUp(state.table, state.sequence);
      await commitSwitch(generation, { ...stored, breadth: prepared?.breadth ?? 1 }, job, parts);
      previous = state.active;
      state.active = generation;
      state.held.add(previous.number);
      // Queries that began in the previous generation still find what its labels stood for.
      releaseLabels = labels.keep();
      labels.release();
    });
  } finally {
    if (previous === undefined) await generation.retire();
  }
  report.note("swapMs", performance.now() - embedded.at);
  try {
    await parts.jobs.change(job.number, {
      status: "promoted",
      generation: generation.number,
      ...(prepared?.outcome === undefined ? {} : { index: prepared.outcome }),
      timings: report.done(),
    });
  } finally {
    await retirePrevious(previous, state);
    releaseLabels();
  }
  await collectGenerations(parts, previous?.number);
}

/** Rounds of catching up, each shorter than the one before; then rows and index are brought to the disk, so that a restart finds them. */
async function catchUp(
  generation: LiveGeneration,
  state: CollectionState,
  report: JobReport,
  signal: AbortSignal,
): Promise<void> {
  let behind = state.sequence - generation.sequence;
  report.progress("catchingUp", { done: 0, total: behind, unit: "items" });
  for (
    let last = Number.POSITIVE_INFINITY;
    behind > NEAR && behind < last;
    behind = state.sequence - generation.sequence
  ) {
    last = behind;
    signal.throwIfAborted();
    await generation.catchUp(state.table, state.sequence, (done, total) => {
      signal.throwIfAborted();
      report.progress("catchingUp", { done, total, unit: "items" });
    });
  }
  await generation.index.drain();
  if (generation.sequence - generation.checkpointed > NEAR) await generation.checkpoint();
  else await generation.rows.sync();
}

/** The switch itself, on disk: one batch. */
async function commitSwitch(
  generation: LiveGeneration,
  stored: StoredGeneration,
  job: StoredJob,
  { state, jobs }: SwitchParts,
): Promise<void> {
  await generation.rows.sync();
  const { active, sequence, tables } = state;
  const before = state.record.activeGeneration;
  const { breadth, ...record } = stored;
  try {
    await state.storage.write([
      ...(active.space === generation.space ? [] : [await filledSpace(active, state)]),
      changeRecord(state, { activeGeneration: generation.number }),
      tables.generations.put(generation.number, {
        ...record,
        ...(breadth === 1 ? {} : { breadth }),
        // Synced above.
        rowsSequence: sequence,
        items: state.table.count,
      }),
      jobs.operation(job.number, { status: "promoted", generation: generation.number }),
    ]);
  } catch (error) {
    changeRecord(state, { activeGeneration: before });
    throw error;
  }
}

/** Notes how far the space reaches that writes fill no more: to this very moment. */
async function filledSpace(active: LiveGeneration, { base, sequence, tables }: CollectionState): Promise<Operation> {
  const stored = await tables.generations.get(active.number);
  if (active.space === base || stored === undefined) return tables.state.put(BASE_SEQUENCE_KEY, sequence);
  return tables.generations.put(active.number, { ...stored, rowsSequence: sequence });
}

/** The generation that served until now stays on disk, as it is at this moment, for a rollback. */
async function retirePrevious(previous: LiveGeneration | undefined, state: CollectionState): Promise<void> {
  if (previous === undefined) return;
  const items = state.table.count;
  try {
    await previous.index.drain();
    await previous.checkpoint();
    const stored = await state.tables.generations.get(previous.number);
    if (stored !== undefined) {
      const record = { ...stored, rowsSequence: previous.checkpointed, items };
      await state.storage.write([state.tables.generations.put(previous.number, record)]);
    }
  } catch (error) {
    state.log.warn(
      `Generation ${previous.number} was retired without a snapshot, a rollback builds it again: ${String(error)}`,
    );
  }
  try {
    await previous.retire();
  } finally {
    state.held.delete(previous.number);
  }
}

/**
 * Keeps the newest `keepGenerations` beside the active one, and first of all the one that served until now (after a rollback it
 * is not the newest); the rest is deleted, records first.
 */
export async function collectGenerations({ state }: Pick<SwitchParts, "state">, previous?: number): Promise<void> {
  const numbers: number[] = [];
  for await (const [number] of state.tables.generations.entries()) {
    if (number !== state.record.activeGeneration) numbers.push(number);
  }
  const newestFirst = numbers.sort((a, b) => Number(b === previous) - Number(a === previous) || b - a);
  const surplus = newestFirst.slice(state.settings.keepGenerations).filter((number) => !state.held.has(number));
  if (surplus.length === 0) return;
  await state.storage.write(surplus.map((number) => state.tables.generations.delete(number)));
  for (const number of surplus) {
    await rm(generationDirectory(state.directory, number), { recursive: true, force: true });
  }
}
