import { appendFileSync, writeFileSync } from "node:fs";
import { binaryBody } from "../../src/client/binary-body.js";
import type { CollectionClient, QueryToSend } from "../../src/client/index.js";
import { type Load, runLoad } from "./load.js";
import type { LoadResult } from "./load-messages.js";
import { meanRecall, smallestEfSearch } from "./recall.js";

/** How vectors stand in a body: as docs/binary.md says, or in JSON. */
export type VectorBody = "json" | "base64" | "binary";

/** The part of a load that says where its bodies are and what they are. */
export interface Bodies {
  bodies: string;
  contentType?: string;
}

const BATCH = 100;

/** The ids of the nearest items of each query. */
export async function topIds(
  collection: CollectionClient,
  queries: readonly Float32Array[],
  how: Omit<QueryToSend, "vector"> & { k: number },
): Promise<Set<string>[]> {
  const found: Set<string>[] = [];
  for (let i = 0; i < queries.length; i += BATCH) {
    const part = queries.slice(i, i + BATCH).map((vector) => ({ ...how, vector, withPayload: false }));
    const { results } = await collection.queryBatch(part, { timeoutMs: 600_000 });
    found.push(...results.map((hits) => new Set(hits.map(({ id }) => id))));
  }
  return found;
}

/** The smallest efSearch with which a collection's searches reach a recall against exact ones. @throws Error when none does */
export async function sufficientEfSearch(
  collection: CollectionClient,
  queries: readonly Float32Array[],
  k: number,
  recall: number,
): Promise<number> {
  const exact = await topIds(collection, queries, { k, exact: true });
  const recallAt = async (efSearch: number) => meanRecall(await topIds(collection, queries, { k, efSearch }), exact);
  return (await smallestEfSearch(k, recall, recallAt)).efSearch;
}

/** Writes one body of a query a line, for the load process. */
export function writeQueryBodies(
  file: string,
  queries: readonly Float32Array[],
  body: VectorBody,
  how: Omit<QueryToSend, "vector">,
): Bodies {
  const toLine = (query: Float32Array) =>
    body === "binary" ? binaryLine(how, [query]) : JSON.stringify({ vector: encodeVector(query, body), ...how });
  writeFileSync(file, queries.map((query) => `${toLine(query)}\n`).join(""));
  return bodiesOf(file, body);
}

/** Writes one body of items a line. */
export function writeItemBodies(
  file: string,
  batches: Iterable<{ ids: readonly string[]; vectors: readonly Float32Array[] }>,
  body: VectorBody,
): Bodies {
  writeFileSync(file, "");
  for (const { ids, vectors } of batches) {
    const items = () => vectors.map((vector, i) => ({ id: ids[i], vector: encodeVector(vector, body) }));
    const line = body === "binary" ? binaryLine({ ids }, vectors) : JSON.stringify({ items: items() });
    appendFileSync(file, `${line}\n`);
  }
  return bodiesOf(file, body);
}

function binaryLine(header: object, vectors: readonly Float32Array[]): string {
  return binaryBody(header, vectors).toString("base64");
}

function bodiesOf(file: string, body: VectorBody): Bodies {
  return body === "binary" ? { bodies: file, contentType: "application/octet-stream" } : { bodies: file };
}

function encodeVector(vector: Float32Array, body: VectorBody): string | number[] {
  if (body === "json") return Array.from(vector);
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

/** What several measurements of the same load found: the median by queries a second, the best, and all failures. */
export interface RepeatedLoad {
  median: LoadResult;
  best: number;
  failures: number;
}

export async function repeatLoad(url: string, task: Load, repeats: number): Promise<RepeatedLoad> {
  const runs: LoadResult[] = [];
  for (let i = 0; i < repeats; i++) runs.push(await runLoad(url, task));
  return summariseLoads(runs);
}

/** @throws Error when there was no measurement. */
export function summariseLoads(runs: readonly LoadResult[]): RepeatedLoad {
  const ascending = [...runs].sort((a, b) => a.qps - b.qps);
  const median = ascending[Math.floor(ascending.length / 2)];
  if (median === undefined) throw new Error("--repeats must be at least 1");
  return {
    median,
    best: ascending.at(-1)?.qps ?? Number.NaN,
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
  };
}
