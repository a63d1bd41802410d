import { appendFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { rowId, type Workload } from "./system.js";

/** A batch of rows with their ids. */
export interface Batch {
  ids: string[];
  vectors: Float32Array[];
}

/** The rows in batches, in order. */
export function* batches({ rows, batch }: Workload): Generator<Batch> {
  for (let start = 0; start < rows.length; start += batch) {
    const vectors = rows.slice(start, start + batch);
    yield { ids: vectors.map((_, i) => rowId(start + i)), vectors };
  }
}

/** Writes a file with a request for each batch, one a line, and returns its path. */
export function writeBatches(workload: Workload, name: string, toLine: (batch: Batch) => string): string {
  const file = path.join(workload.directory, name);
  writeFileSync(file, "");
  for (const batch of batches(workload)) appendFileSync(file, `${toLine(batch)}\n`);
  return file;
}

/** The same with a request for each query. */
export function writeQueries(workload: Workload, name: string, toLine: (query: Float32Array) => string): string {
  const file = path.join(workload.directory, name);
  writeFileSync(file, workload.queries.map((query) => `${toLine(query)}\n`).join(""));
  return file;
}

/** The numbers of a vector as little-endian bytes, in Base64. */
export function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}
