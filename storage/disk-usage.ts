import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Bytes that the files below a directory occupy on disk (holes of sparse files do not count); 0 when it does not exist. */
export async function diskUsage(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of (await unlessGone(readdir(directory, { withFileTypes: true }))) ?? []) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) bytes += await diskUsage(path);
    else bytes += ((await unlessGone(lstat(path)))?.blocks ?? 0) * 512;
  }
  return bytes;
}

/** Files come and go while the server runs; one that has just gone takes no space. */
async function unlessGone<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
