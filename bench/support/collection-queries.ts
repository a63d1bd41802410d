import { writeFileSync } from "node:fs";
import type { CollectionClient, QueryToSend } from "../../src/client/index.js";
import { type Load, runLoad } from "./load.js";
import type { LoadResult } from "./load-messages.js";

/** How a query's vector stands in its body. */
export type VectorBody = "json" | "base64";

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

/** Writes one body of a query a line, for the load process. */
export function writeQueryBodies(
  file: string,
  queries: readonly Float32Array[],
  body: VectorBody,
  how: Omit<QueryToSend, "vector">,
): void {
  const lines = queries.map((query) =>
    JSON.stringify({ vector: body === "base64" ? asBase64(query) : Array.from(query), ...how }),
  );
  writeFileSync(file, `${lines.join("\n")}\n`);
}

function asBase64(vector: Float32Array): string {
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
