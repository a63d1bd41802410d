import path from "node:path";
import { loadInProcess } from "./in-process.js";
import { loadPackage, packageFile, packageVersion } from "./packages.js";
import { batches } from "./request-file.js";
import { rowOfId, type System, type Workload } from "./system.js";

/** What is used of better-sqlite3. */
type Sqlite = new (
  file: string,
) => {
  exec(sql: string): void;
  prepare(sql: string): { run(...values: unknown[]): void; all(...values: unknown[]): { rowid: number }[] };
  transaction<T>(work: (of: T) => void): (of: T) => void;
  close(): void;
};

/** SQLite with sqlite-vec in this process; it compares with every row, so what it finds is exact. */
export async function openSqliteVec(workload: Workload): Promise<System> {
  // The package itself is there before its library is built, and only notices when it is used.
  packageFile("better-sqlite3", "build/Release/better_sqlite3.node");
  const Database = loadPackage<Sqlite>("better-sqlite3");
  const { load } = loadPackage<{ load(database: unknown): void }>("sqlite-vec");
  const { k, dimensions, queries } = workload;
  const database = new Database(path.join(workload.directory, "sqlite-vec.db"));
  load(database);
  const create = `CREATE VIRTUAL TABLE items USING vec0(embedding float[${dimensions}] distance_metric=cosine)`;
  database.exec(create);
  const select = database.prepare("SELECT rowid FROM items WHERE embedding MATCH ? AND k = ?");
  const nearest = (vector: Float32Array = new Float32Array(dimensions)) => select.all(bytes(vector), k);
  return {
    version: packageVersion("sqlite-vec"),
    insertions: [
      {
        how: "in process",
        manyClients: false,
        run: async () => {
          database.exec("DELETE FROM items");
          const insert = database.prepare("INSERT INTO items (rowid, embedding) VALUES (?, ?)");
          const insertBatch = database.transaction(({ ids, vectors }: { ids: string[]; vectors: Float32Array[] }) => {
            for (const [i, vector] of vectors.entries()) insert.run(BigInt(rowOfId(ids[i] ?? "")), bytes(vector));
          });
          const started = performance.now();
          for (const batch of batches(workload)) insertBatch(batch);
          const seconds = (performance.now() - started) / 1000;
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
    setEfSearch: undefined,
    search: async (of) => of.map((vector) => new Set(nearest(vector).map(({ rowid }) => Number(rowid)))),
    close: async () => database.close(),
  };
}

function bytes(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}
