import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** How far an import came; written after each acknowledged request, removed at the end. */
export interface ImportState {
  version: 1;
  url: string;
  collection: string;
  /** Absolute path, or "-" for standard input. */
  file: string;
  /** Hash of the file's beginning (see `hashOfHead`); absent for standard input. */
  head?: string;
  /** The last line of the file whose request was answered. */
  line: number;
  upserted: number;
  failed: number;
}

/** Where the state of an import of this file into this collection is kept unless --state says otherwise. */
export function defaultStateFile(url: string, collection: string, file: string): string {
  const base = process.env.XDG_STATE_HOME || path.join(os.homedir(), ".local", "state");
  const name = createHash("sha256").update(`${url}\0${collection}\0${file}`).digest("hex").slice(0, 24);
  return path.join(base, "attune", "imports", `${name}.json`);
}

/** The state, or undefined when there is none that can be read. */
export function readImportState(file: string): ImportState | undefined {
  try {
    const state = JSON.parse(readFileSync(file, "utf8")) as ImportState;
    return state.version === 1 && Number.isInteger(state.line) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the state in one move: a kill leaves the old one or the new one. */
export function writeImportState(file: string, state: ImportState): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(state));
  renameSync(temporary, file);
}

export function removeImportState(file: string): void {
  rmSync(file, { force: true });
}
