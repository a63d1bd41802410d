import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { runLoad } from "../support/load.js";
import { PostgresConnection } from "../support/postgres-connection.js";
import { asPostgres } from "./other-debian.js";
import { writeBatches, writeQueries } from "./request-file.js";
import { freePort, startServer } from "./server.js";
import { type Insertion, NotInstalled, type Querying, rowOfId, type System, type Workload } from "./system.js";

const USER = "postgres";
/** So that vectors and graph fit into memory, as in the other systems; everything else is as Debian has it. */
const SETTINGS = [
  "shared_buffers=1GB",
  "maintenance_work_mem=1GB",
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
];

/**
 * PostgreSQL with pgvector from Debian's packages, asked in its own protocol with a prepared statement. Vectors are of length
 * 1, so it compares inner products, as its documentation advises.
 */
export async function openPgvector(workload: Workload): Promise<System> {
  const { k, m, efConstruction, dimensions, debian } = workload;
  const programs = findPrograms(debian);
  const { data, inside } = makeDataFolder(debian);
  const initialise = asPostgres(debian, [`${programs}/initdb`, "-D", inside, "-A", "trust", "-U", USER, "--locale=C"]);
  const { status, stderr } = spawnSync(initialise[0] ?? "", initialise.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`initdb ended with ${status}: ${stderr}`);
  const port = await freePort();
  const options = SETTINGS.flatMap((setting) => ["-c", setting]);
  const command = [`${programs}/postgres`, "-D", inside, "-p", String(port), ...options];
  const server = await startServer(asPostgres(debian, command), port, isReady, "SIGINT");
  const url = `http://127.0.0.1:${port}`;
  const connection = await PostgresConnection.open("127.0.0.1", port, USER);
  await connection.query("CREATE EXTENSION vector");
  const [[postgres = ""] = []] = await connection.query("SHOW server_version");
  const [[extension = ""] = []] = await connection.query(
    "SELECT extversion FROM pg_extension WHERE extname = 'vector'",
  );
  const nearest = (vector: string) => `SELECT id FROM items ORDER BY embedding <#> ${vector} LIMIT ${k}`;
  let setup: string[] = [];

  const insertion = (how: string, indexFirst: boolean): Insertion => ({
    how,
    manyClients: true,
    run: async (clients) => {
      const parameters = `m = ${m}, ef_construction = ${efConstruction}`;
      const index = `CREATE INDEX ON items USING hnsw (embedding vector_ip_ops) WITH (${parameters})`;
      await connection.query("DROP TABLE IF EXISTS items");
      await connection.query(`CREATE TABLE items (id text PRIMARY KEY, embedding vector(${dimensions}))`);
      if (indexFirst) await connection.query(index);
      const bodies = writeBatches(workload, "pgvector-items.sql", ({ ids, vectors }) => {
        const rows = vectors.map((vector, i) => `('${ids[i]}','${asText(vector)}')`);
        return `INSERT INTO items (id, embedding) VALUES ${rows.join(",")}`;
      });
      const task = { postgres: { user: USER, setup: [] }, bodies, clients, once: true, warmUpMs: 0, durationMs: 0 };
      const { failures, seconds } = await runLoad(url, task);
      if (failures > 0) throw new Error(`${failures} INSERTs failed`);
      const acknowledged = performance.now();
      if (!indexFirst) await connection.query(index);
      const indexedS = seconds + (performance.now() - acknowledged) / 1000;
      // What autovacuum would do soon.
      await connection.query("VACUUM ANALYZE items");
      return { acknowledgedS: seconds, indexedS };
    },
  });
  const querying = (how: string, binary: boolean): Querying => ({
    how: `own protocol, ${how}`,
    mostClients: Number.POSITIVE_INFINITY,
    load: (clients, timing) => {
      const toLine = (vector: Float32Array) => (binary ? asBinary(vector).toString("base64") : asText(vector));
      const bodies = writeQueries(workload, "pgvector-queries", toLine);
      const postgres = { user: USER, setup, statement: nearest("$1::vector"), binary };
      return runLoad(url, { postgres, bodies, clients, ...timing });
    },
  });
  return {
    version: `${postgres.split(" ")[0]} with pgvector ${extension}`,
    insertions: [insertion("INSERT, then CREATE INDEX", false), insertion("INSERT into an index", true)],
    queryings: [querying("vectors as text", false), querying("vectors binary", true)],
    setEfSearch: async (efSearch) => {
      // Few rows it would rather compare one by one.
      setup = [`SET hnsw.ef_search = ${efSearch}`, "SET enable_seqscan = off"];
      for (const sql of setup) await connection.query(sql);
    },
    search: async (of) => {
      const found: Set<number>[] = [];
      for (const vector of of) {
        const rows = await connection.query(nearest(`'${asText(vector)}'`));
        found.push(new Set(rows.map(([id = ""]) => rowOfId(id))));
      }
      return found;
    },
    close: async () => {
      connection.close();
      await server.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** The folder of the programs, as it is called inside the Debian that has them. */
function findPrograms(debian = "/"): string {
  const versions = path.join(debian, "usr/lib/postgresql");
  const found = (existsSync(versions) ? readdirSync(versions) : [])
    .sort((a, b) => Number(b) - Number(a))
    .find((version) => existsSync(path.join(debian, "usr/share/postgresql", version, "extension/vector.control")));
  if (found === undefined) {
    throw new NotInstalled(
      `no PostgreSQL with pgvector in ${versions}: install Debian's postgresql-17-pgvector, or see --debian`,
    );
  }
  return `/usr/lib/postgresql/${found}/bin`;
}

/** A new folder that belongs to the user who runs the server; `inside` is what it is called for the server. */
function makeDataFolder(debian = "/"): { data: string; inside: string } {
  const data = mkdtempSync(path.join(debian, "tmp/attune-bench-postgres-"));
  process.on("exit", () => rmSync(data, { recursive: true, force: true }));
  const inside = path.join("/", path.relative(debian, data));
  if (process.getuid?.() === 0) {
    const chown = spawnSync("chroot", [debian, "chown", "postgres:postgres", inside]);
    if (chown.status !== 0) throw new Error(`chown of ${data} ended with ${chown.status}`);
  }
  return { data, inside };
}

function isReady(port: number): Promise<boolean> {
  return PostgresConnection.open("127.0.0.1", port, USER).then(
    (connection) => {
      connection.close();
      return true;
    },
    () => false,
  );
}

function asText(vector: Float32Array): string {
  return `[${vector.join(",")}]`;
}

/** What pgvector's vector_recv reads: the number of dimensions and a zero, both of two bytes, and the numbers, big-endian. */
function asBinary(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 + 4 * vector.length);
  bytes.writeInt16BE(vector.length, 0);
  for (const [i, value] of vector.entries()) bytes.writeFloatBE(value, 4 + 4 * i);
  return bytes;
}
