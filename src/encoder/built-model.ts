import { rm } from "node:fs/promises";
import type { PreparationProgress } from "./encoder.js";
import { isFile, readIfPresent, sha256, sha256OfFile, writeFileAtomic } from "./files.js";

export interface PrepareOptions {
  cacheDirectory: string;
  signal?: AbortSignal;
  onProgress?: (progress: PreparationProgress) => void;
}

export interface PreparedModel {
  /** The ONNX file. */
  path: string;
  /** SHA-256 (hex) of the ONNX file. */
  checksum: string;
}

/**
 * Makes sure that a model we build ourselves is at `path`: builds it when it is missing or does not fit the checksum beside it.
 * Processes that do so at once disturb neither each other nor a reader.
 */
export async function builtModel(path: string, build: () => Promise<Uint8Array>): Promise<PreparedModel> {
  const present = await checkedModel(path);
  if (present !== undefined) return present;
  const model = await build();
  const checksum = sha256(model);
  // The checksum goes last: a model without one, or with another's, is built again.
  await rm(checksumPath(path), { force: true });
  await writeFileAtomic(path, model);
  await writeFileAtomic(checksumPath(path), `${checksum}\n`);
  return { path, checksum };
}

function checksumPath(path: string): string {
  return `${path}.sha256`;
}

async function checkedModel(path: string): Promise<PreparedModel | undefined> {
  const expected = (await readIfPresent(checksumPath(path)))?.trim();
  if (expected === undefined || !(await isFile(path))) return undefined;
  const checksum = await sha256OfFile(path);
  return checksum === expected ? { path, checksum } : undefined;
}
