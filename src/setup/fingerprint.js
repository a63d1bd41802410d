import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** SHA-256 of a file in hex, or undefined when there is no such file. */
export function hashOfFile(file) {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("hex");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * One hash over the names and contents of every file below the given files and folders whose name ends in `extension`
 * (files given themselves always count). Contents, not times: a git checkout touches times.
 */
export function fingerprint(root, entries, extension) {
  const hash = createHash("sha256");
  for (const file of listFiles(root, entries, extension)) {
    hash.update(`${file}\0${hashOfFile(path.join(root, file))}\n`);
  }
  return hash.digest("hex");
}

function listFiles(root, entries, extension) {
  const files = [];
  for (const entry of entries) {
    const stats = statSync(path.join(root, entry), { throwIfNoEntry: false });
    if (stats?.isFile()) files.push(entry);
    if (!stats?.isDirectory()) continue;
    for (const found of readdirSync(path.join(root, entry), { recursive: true, withFileTypes: true })) {
      if (!found.isFile() || !found.name.endsWith(extension)) continue;
      files.push(path.relative(root, path.join(found.parentPath ?? found.path, found.name)).replaceAll(path.sep, "/"));
    }
  }
  return files.sort();
}
