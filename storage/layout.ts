import { join } from "node:path";
import { StorageError } from "./errors.js";
import { checkUid } from "./keys.js";

/* The files below a data directory; FORMAT.md says what each holds. Nothing here touches the disk. */

/** DATA/level */
export function levelDirectory(data: string): string {
  return join(data, "level");
}

/** DATA/owner.json: which process has the directory open. */
export function ownerFile(data: string): string {
  return join(data, "owner.json");
}

/** DATA/collections */
export function collectionsDirectory(data: string): string {
  return join(data, "collections");
}

/** DATA/collections/UID. @throws invalid_key */
export function collectionDirectory(data: string, uid: string): string {
  return join(collectionsDirectory(data), checkUid(uid));
}

/** COLLECTION/content: raw content by hash. */
export function contentDirectory(collection: string): string {
  return join(collection, "content");
}

/** COLLECTION/content/AB/CDEF...: content by the SHA-256 of its bytes in hexadecimal. @throws invalid_key */
export function contentFile(collection: string, hash: string): string {
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new StorageError(
      "invalid_key",
      `${JSON.stringify(hash)} is not a SHA-256 of 64 lower-case hexadecimal digits.`,
    );
  }
  return join(contentDirectory(collection), hash.slice(0, 2), hash.slice(2));
}

/** COLLECTION/base-VERSION: the encoder's output. @throws invalid_key */
export function baseDirectory(collection: string, encoderVersion: string | number): string {
  return join(collection, `base-${checkName(String(encoderVersion))}`);
}

/** COLLECTION/base-VERSION/vectors.f32. @throws invalid_key */
export function baseVectorsFile(collection: string, encoderVersion: string | number): string {
  return join(baseDirectory(collection, encoderVersion), "vectors.f32");
}

/** COLLECTION/generations */
export function generationsDirectory(collection: string): string {
  return join(collection, "generations");
}

/** COLLECTION/generations/N. @throws invalid_key */
export function generationDirectory(collection: string, generation: number): string {
  return join(generationsDirectory(collection), checkNumber(generation));
}

/** COLLECTION/generations/N/head.onnx. @throws invalid_key */
export function headFile(collection: string, generation: number): string {
  return join(generationDirectory(collection, generation), "head.onnx");
}

/** COLLECTION/generations/N/encoder.onnx: the tuned encoder. @throws invalid_key */
export function encoderFile(collection: string, generation: number): string {
  return join(generationDirectory(collection, generation), "encoder.onnx");
}

/** COLLECTION/generations/N/vectors.f32: vectors where they differ from the base. @throws invalid_key */
export function generationVectorsFile(collection: string, generation: number): string {
  return join(generationDirectory(collection, generation), "vectors.f32");
}

/** COLLECTION/generations/N/index: the index snapshot. @throws invalid_key */
export function indexDirectory(collection: string, generation: number): string {
  return join(generationDirectory(collection, generation), "index");
}

/** COLLECTION/jobs */
export function jobsDirectory(collection: string): string {
  return join(collection, "jobs");
}

/** COLLECTION/jobs/ID: a job's working files. @throws invalid_key */
export function jobDirectory(collection: string, job: number): string {
  return join(jobsDirectory(collection), checkNumber(job));
}

function checkName(name: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name)) return name;
  throw new StorageError(
    "invalid_key",
    `${JSON.stringify(name)} cannot be part of a file name: use letters, digits, ".", "_", "-".`,
  );
}

function checkNumber(value: number): string {
  if (Number.isSafeInteger(value) && value >= 0) return String(value);
  throw new StorageError("invalid_key", `${String(value)} is not a whole number from 0, so it names no directory.`);
}
