import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** A folder for a server's data, removed when the process ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), "attune-bench-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Copies a data directory of a server that is not running. */
export function copyDirectory(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
}

/** Bytes that a folder takes on the disk; of sparse files only what is written. */
export function diskUse(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // A file may go while we look: stores compact in the background.
    const stats = statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    bytes += stats === undefined ? 0 : stats.blocks * 512;
  }
  return bytes;
}
