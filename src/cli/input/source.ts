import { createHash } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { UsageError } from "../exit-codes.js";

/** Where records come from. */
export interface Origin {
  /** Absolute path, or "-" for standard input. */
  name: string;
  /** What one record is there. */
  unit: "line" | "file";
  /** Size in bytes; undefined for standard input. */
  bytes?: number;
  /** A hash that tells another file or folder of the same name; undefined for standard input. */
  head?: string;
}

/** A file, or standard input as `-`; `head` is of the first 64 KiB. */
export interface Source extends Origin {
  open(): Readable;
}

/** Whether this is a folder rather than a file of records. */
export function isFolder(file: string): boolean {
  return file !== "-" && (statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

const HEAD_BYTES = 64 * 1024;

/** @throws UsageError when there is no such file. */
export function findSource(file: string): Source {
  if (file === "-") return { name: "-", unit: "line", open: () => process.stdin };
  const name = path.resolve(file);
  const stats = statSync(name, { throwIfNoEntry: false });
  if (stats === undefined) throw new UsageError(`no such file: ${file} (use - for standard input)`);
  if (stats.isDirectory()) throw new UsageError(`${file} is a folder; expected a file`);
  // A named pipe has no size and its beginning can be read once only.
  if (!stats.isFile()) return { name, unit: "line", open: () => createReadStream(name) };
  return { name, unit: "line", bytes: stats.size, head: hashOfHead(name), open: () => createReadStream(name) };
}

function hashOfHead(file: string): string {
  const buffer = Buffer.alloc(HEAD_BYTES);
  const descriptor = openSync(file, "r");
  try {
    const length = readSync(descriptor, buffer, 0, HEAD_BYTES, 0);
    return createHash("sha256").update(buffer.subarray(0, length)).digest("hex");
  } finally {
    closeSync(descriptor);
  }
}
