import { mkdir, open, rename } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** Writes in progress by path: two at once to one path must not share the temporary file. */
const writing = new Map<string, Promise<void>>();

/**
 * Replaces a small file so that after a crash it holds either the old or the new content, whole: temporary file beside it,
 * fsync, rename, fsync of the directory. Creates the directory where it is missing. Calls for one path run in order.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const target = resolve(path);
  const before = writing.get(target) ?? Promise.resolve();
  const mine = before.catch(() => {}).then(() => replaceFile(target, data));
  writing.set(target, mine);
  try {
    await mine;
  } finally {
    if (writing.get(target) === mine) writing.delete(target);
  }
}

async function replaceFile(path: string, data: string | Uint8Array): Promise<void> {
  await ensureDirectory(dirname(path));
  // A fixed name: what a crash leaves behind is overwritten by the next write instead of piling up.
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Creates a directory with its parents, so that they outlive a power failure. */
export async function ensureDirectory(path: string): Promise<void> {
  const target = resolve(path);
  const first = await mkdir(target, { recursive: true });
  if (first === undefined) return;
  // A new directory is an entry in its parent: that is what has to be synced, from the topmost new one down.
  for (let made = target; ; made = dirname(made)) {
    await syncDirectory(dirname(made));
    if (made === resolve(first) || made === dirname(made)) return;
  }
}

/** fsync of a directory: makes the names in it outlive a power failure. Nothing where the platform has no such call (Windows). */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
