import { mkdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TOUCH_MS = 2_000;
/** A lock nobody has touched for so long was left behind by a process that died. */
const STALE_MS = 10_000;
const POLL_MS = 200;

/** Runs `work` while holding a lock file, so that only one process at a time does; a dead holder's lock is taken over. */
export async function withLock<Result>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await acquire(path))) await sleep(POLL_MS, undefined, { signal });
  const timer = setInterval(() => {
    const now = new Date();
    // A failure only means that the lock may look stale; the downloads are checked against their checksums anyway.
    utimes(path, now, now).catch(() => {});
  }, TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(path, { force: true });
  }
}

async function acquire(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const held = await stat(path).catch(() => undefined);
  if (held !== undefined && Date.now() - held.mtimeMs > STALE_MS) await rm(path, { force: true });
  return false;
}
