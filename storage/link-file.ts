import { copyFile, link, open, rm } from "node:fs/promises";

/** Errors of file systems that have no hard links, or no more of them for this file. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "EMLINK",
  "EXDEV",
  "ENOSYS",
]);

/**
 * Gives a file a second name, in place of what that name stood for, so that its content outlives the first; a copy, synced, where the
 * file system has no links.
 */
export async function linkFile(existing: string, name: string): Promise<void> {
  await rm(name, { force: true });
  try {
    await link(existing, name);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code)) throw error;
    await copyFile(existing, name);
    const copy = await open(name, "r+");
    await copy.sync().finally(() => copy.close());
  }
}
