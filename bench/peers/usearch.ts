import path from "node:path";
import { loadInProcess } from "./in-process.js";
import { loadPackage, packageVersion } from "./packages.js";
import type { System, Workload } from "./system.js";

interface Index {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(vector: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(file: string): void;
  load(file: string): void;
}

/** What is used of usearch. */
interface Usearch {
  Index: new (options: {
    metric: "ip";
    quantization: "f32";
    dimensions: number;
    connectivity: number;
    expansion_add: number;
    expansion_search: number;
  }) => Index;
}

/** The library usearch in this process, on the calling thread; it keeps nothing on the disk. */
export async function openUsearch(workload: Workload): Promise<System> {
  const usearch = loadPackage<Usearch>("usearch");
  const { rows, dimensions, k, m, efConstruction, queries, directory } = workload;
  const file = path.join(directory, "usearch.index");
  const make = (efSearch: number) =>
    new usearch.Index({
      metric: "ip",
      quantization: "f32",
      dimensions,
      connectivity: m,
      expansion_add: efConstruction,
      expansion_search: efSearch,
    });
  let index = make(k);
  const nearest = (vector: Float32Array = new Float32Array(dimensions)) => index.search(vector, k, 1);
  return {
    version: packageVersion("usearch"),
    insertions: [
      {
        how: "in process, in memory only",
        manyClients: false,
        run: async () => {
          index = make(k);
          const started = performance.now();
          for (const [i, row] of rows.entries()) index.add(BigUint64Array.of(BigInt(i)), row, 1);
          const seconds = (performance.now() - started) / 1000;
          index.save(file);
          return { acknowledgedS: seconds, indexedS: seconds };
        },
      },
    ],
    queryings: [
      {
        how: "in process",
        mostClients: 1,
        load: (clients, timing) => loadInProcess((i) => nearest(queries[i % queries.length]), clients, timing),
      },
    ],
    // The width belongs to an index from its beginning.
    setEfSearch: async (efSearch) => {
      index = make(efSearch);
      index.load(file);
    },
    search: async (of) => of.map((vector) => new Set(Array.from(nearest(vector).keys, Number))),
    close: async () => {},
  };
}
