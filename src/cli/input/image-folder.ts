import { createHash } from "node:crypto";
import { type Dirent, readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../exit-codes.js";
import type { InputRecord } from "./input-record.js";
import type { Origin } from "./source.js";

/** The formats that the server reads, by the usual endings of their files. */
const IMAGE = /\.(png|jpe?g|webp|gif|avif|tiff?)$/i;

/** The image files below a folder. */
export interface ImageFolder extends Origin {
  bytes: number;
  head: string;
  /** In the order of their paths, which are relative to the folder, with slashes. */
  files: { path: string; bytes: number }[];
  /** Files that are no images by their names. */
  others: number;
}

/**
 * Finds the image files below a folder; what begins with a dot is passed over, and links to folders are not followed.
 * @throws UsageError when there is none
 */
export function findImageFolder(folder: string): ImageFolder {
  const name = path.resolve(folder);
  const files: ImageFolder["files"] = [];
  let others = 0;
  const walk = (below: string) => {
    for (const entry of readdirSync(path.join(name, below), { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      const relative = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) walk(relative);
      else if (!isFile(entry, path.join(name, relative))) continue;
      else if (IMAGE.test(entry.name)) files.push({ path: relative, bytes: statSync(path.join(name, relative)).size });
      else others++;
    }
  };
  walk("");
  if (files.length === 0) throw new UsageError(`${folder} holds no image files (PNG, JPEG, WebP, GIF, AVIF, TIFF)`);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const head = createHash("sha256")
    .update(files.map((file) => file.path).join("\0"))
    .digest("hex");
  return { name, unit: "file", head, files, others, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

function isFile(entry: Dirent, full: string): boolean {
  return entry.isSymbolicLink() ? (statSync(full, { throwIfNoEntry: false })?.isFile() ?? false) : entry.isFile();
}

/**
 * The images as items, from the one after number `after` on: the id is the path, and the payload has it too, with the name of the
 * folder that the file is in. An item's line is its number among the files, from 1.
 */
export async function* readImageFolder({ name, files }: ImageFolder, after: number): AsyncGenerator<InputRecord> {
  let bytes = 0;
  for (const [index, file] of files.entries()) {
    bytes += file.bytes;
    if (index >= after) yield { line: index + 1, bytes, ...(await readImage(name, file.path)) };
  }
}

async function readImage(folder: string, relative: string): Promise<Pick<InputRecord, "item" | "problem">> {
  try {
    const image = await readFile(path.join(folder, relative));
    const parent = relative.split("/").at(-2);
    const payload = parent === undefined ? { path: relative } : { path: relative, folder: parent };
    return { item: { id: relative, image, payload } };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
