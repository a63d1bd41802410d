import path from "node:path";
import { loadInProcess } from "./in-process.js";
import { loadPackage, packageVersion } from "./packages.js";
import { batches } from "./request-file.js";
import { rowOfId, type System, type Workload } from "./system.js";

/** What is used of @lancedb/lancedb. */
interface Lancedb {
  connect(directory: string): Promise<{
    createTable(name: string, rows: Record<string, unknown>[], options: { mode: "overwrite" }): Promise<Table>;
  }>;
  Index: { hnswSq(options: Record<string, unknown>): unknown };
}

interface Table {
  add(rows: Record<string, unknown>[]): Promise<unknown>;
  createIndex(column: string, options: { config: unknown }): Promise<void>;
  query(): { nearestTo(vector: Float32Array): Search };
}

interface Search {
  distanceType(type: "cosine"): Search;
  nprobes(partitions: number): Search;
  ef(efSearch: number): Search;
  limit(k: number): Search;
  select(columns: string[]): Search;
  toArray(): Promise<{ id: string }[]>;
}

/** LanceDB in this process, with the index that its documentation has for HNSW: vectors of one byte a dimension, one partition. */
export async function openLancedb(workload: Workload): Promise<System> {
  const lancedb = loadPackage<Lancedb>("@lancedb/lancedb");
  const { k, m, efConstruction, queries, dimensions } = workload;
  const database = await lancedb.connect(path.join(workload.directory, "lancedb"));
  let table: Table | undefined;
  let efSearch = k;
  const nearest = async (vector: Float32Array = new Float32Array(dimensions)) => {
    if (table === undefined) throw new Error("nothing was inserted");
    const search = table.query().nearestTo(vector).distanceType("cosine").nprobes(1).ef(efSearch);
    return search.limit(k).select(["id", "_distance"]).toArray();
  };
  return {
    version: packageVersion("@lancedb/lancedb"),
    insertions: [
      {
        how: "in process",
        manyClients: false,
        run: async () => {
          const started = performance.now();
          table = undefined;
          for (const { ids, vectors } of batches(workload)) {
            const rows = vectors.map((vector, i) => ({ id: ids[i], vector: Array.from(vector) }));
            if (table === undefined) table = await database.createTable("items", rows, { mode: "overwrite" });
            else await table.add(rows);
          }
          const acknowledgedS = (performance.now() - started) / 1000;
          const config = lancedb.Index.hnswSq({ distanceType: "cosine", numPartitions: 1, m, efConstruction });
          await table?.createIndex("vector", { config });
          return { acknowledgedS, indexedS: (performance.now() - started) / 1000 };
        },
      },
    ],
    queryings: [
      {
        how: "in process",
        mostClients: 8,
        load: (clients, timing) => loadInProcess((i) => nearest(queries[i % queries.length]), clients, timing),
      },
    ],
    setEfSearch: async (ef) => {
      efSearch = ef;
    },
    search: async (of) => {
      const found: Set<number>[] = [];
      for (const vector of of) found.push(new Set((await nearest(vector)).map(({ id }) => rowOfId(id))));
      return found;
    },
    close: async () => {},
  };
}
