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

/** A model that is built here rather than fetched. */
export interface ModelRecipe {
  /** Where it is kept; the name changes with everything that changes the model. */
  path: string;
  /** For people. */
  what: string;
  /** Stages of the build, of which `build` tells each as it ends: 1, 2, ... */
  stages: number;
  build: (done: (stage: number) => void) => Uint8Array | Promise<Uint8Array>;
}

/**
 * Makes sure that a model is in its place: builds it when it is missing or does not fit its checksum. Processes that do so at once
 * disturb neither each other nor a reader.
 */
export async function prepareModel(recipe: ModelRecipe, options: PrepareOptions): Promise<PreparedModel> {
  const { path, what, stages } = recipe;
  const present = await checkedModel(path);
  if (present !== undefined) return present;
  options.signal?.throwIfAborted();
  const done = (step: number) => options.onProgress?.({ what, done: step, total: stages + 1, unit: "steps" });
  done(0);
  const model = await recipe.build((stage) => {
    options.signal?.throwIfAborted();
    done(stage);
  });
  const checksum = sha256(model);
  // The checksum goes last: a model without one, or with another's, is built again.
  await rm(checksumPath(path), { force: true });
  await writeFileAtomic(path, model);
  await writeFileAtomic(checksumPath(path), `${checksum}\n`);
  done(stages + 1);
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
