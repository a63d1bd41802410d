import { access, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { jobDirectory, jobsDirectory, writeFileAtomic } from "../../../storage/index.js";
import type { FineTuneResult, FineTuneTask } from "../../training/index.js";
import type { StoredJob } from "../collection-state.js";
import type { ExtraReference } from "./feedback-numbers.js";

/** What a fine-tune works on, as of one moment: the files in the folder of its job, and what else it takes to use its result. */
export interface FineTuneSnapshot {
  /** The task of the training process, as a file. */
  taskFile: string;
  task: FineTuneTask;
  /** Contents set up to this sequence are in it. */
  sequence: number;
  /** The generation that the result is compared with. */
  activeGeneration: number;
  /** Content that is no item, which feedback refers to: numbered after the items. */
  extra: ExtraReference[];
}

/** Ids of the items, by number. */
export const IDS_FILE = "ids.json";
const SNAPSHOT_FILE = "snapshot.json";
const RESULT_FILE = "result.json";

/** To be written last: a folder with it is whole. */
export function writeSnapshot(folder: string, snapshot: FineTuneSnapshot): Promise<void> {
  return writeFileAtomic(join(folder, SNAPSHOT_FILE), JSON.stringify(snapshot));
}

/** The snapshot in a folder, when all of it is there. */
export async function readSnapshot(folder: string): Promise<FineTuneSnapshot | undefined> {
  try {
    const snapshot = JSON.parse(await readFile(join(folder, SNAPSHOT_FILE), "utf8")) as FineTuneSnapshot;
    const { task, taskFile } = snapshot;
    // A copied or moved data directory must not train in the folders of the first.
    if (dirname(resolve(taskFile)) !== resolve(folder)) return undefined;
    const { encoder } = task;
    const extra = [task.extraRows?.path, encoder?.contents, encoder?.active?.extraVectors];
    const files = [taskFile, task.rows, task.liveLabels, task.feedback, join(folder, IDS_FILE), ...extra];
    for (const file of files) if (file !== undefined) await access(file);
    return snapshot;
  } catch {
    return undefined;
  }
}

/** Whether a job that was cut off can be gone on with: only the training of an encoder is long enough to keep what it needs for that. */
export async function isResumable({ kind, options, number }: StoredJob, directory: string): Promise<boolean> {
  if (kind !== "fine-tune" || options.scope !== "encoder") return false;
  return (await readSnapshot(jobDirectory(directory, number))) !== undefined;
}

/** Removes the folders of jobs that nobody goes on with. */
export async function collectJobFolders(directory: string, kept: readonly StoredJob[]): Promise<void> {
  const names = new Set(kept.map(({ number }) => String(number)));
  if (names.size === 0) return rm(jobsDirectory(directory), { recursive: true, force: true });
  for (const name of await readdir(jobsDirectory(directory)).catch(() => [])) {
    if (!names.has(name)) await rm(join(jobsDirectory(directory), name), { recursive: true, force: true });
  }
}

/** Ids of the snapshot's items, by number. */
export async function readIds(folder: string): Promise<string[]> {
  return JSON.parse(await readFile(join(folder, IDS_FILE), "utf8")) as string[];
}

/** The result of a training that ended before the server did. */
export async function readResult(folder: string): Promise<FineTuneResult | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, RESULT_FILE), "utf8")) as FineTuneResult;
  } catch {
    return undefined;
  }
}

export function writeResult(folder: string, result: FineTuneResult): Promise<void> {
  return writeFileAtomic(join(folder, RESULT_FILE), JSON.stringify(result));
}
