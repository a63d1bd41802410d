import path from "node:path";
import { ask, callJson, sendOnce } from "./http.js";
import { withLibrariesOf } from "./other-debian.js";
import { packageFile, packageVersion } from "./packages.js";
import { base64, writeBatches, writeQueries } from "./request-file.js";
import { freePort, startServer } from "./server.js";
import { type Insertion, rowOfId, type System, type Workload } from "./system.js";

const COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections";

/**
 * Chroma's server from its npm package, asked over HTTP. It acknowledges a write when it is in its log; the first query
 * after it waits until the log is in the index.
 */
export async function openChroma(workload: Workload): Promise<System> {
  const { dimensions, m, efConstruction, queries, k } = workload;
  const program = packageFile("chromadb", "dist/cli.mjs");
  const data = path.join(workload.directory, "chroma");
  const port = await freePort();
  const command = [process.execPath, program, "run", "--path", data, "--host", "127.0.0.1", "--port", String(port)];
  // The program takes SIGTERM for nothing.
  const start = () => startServer(withLibrariesOf(workload.debian, command), port, isReady, "SIGKILL");
  let server = await start();
  const url = `http://127.0.0.1:${port}`;
  let id = "";
  let made = 0;
  const queryBody = (of: readonly Float32Array[]) => ({
    query_embeddings: of.map((vector) => Array.from(vector)),
    n_results: k,
    include: ["distances"],
  });
  const nearest = async (of: readonly Float32Array[]) =>
    (await callJson<{ ids: string[][] }>("POST", `${url}${COLLECTIONS}/${id}/query`, queryBody(of))).ids;
  const insertion = (how: string, encode: (vector: Float32Array) => unknown): Insertion => ({
    how: `HTTP, ${how}`,
    manyClients: true,
    run: async (clients) => {
      if (made > 0) await callJson("DELETE", `${url}${COLLECTIONS}/bench-${made}`);
      made++;
      const hnsw = { space: "cosine", ef_construction: efConstruction, max_neighbors: m };
      const created = { name: `bench-${made}`, configuration: { hnsw } };
      ({ id } = await callJson<{ id: string }>("POST", `${url}${COLLECTIONS}`, created));
      const file = writeBatches(workload, "chroma-items.ndjson", ({ ids, vectors }) =>
        JSON.stringify({ ids, embeddings: vectors.map(encode) }),
      );
      const acknowledgedS = await sendOnce(url, `${COLLECTIONS}/${id}/add`, { bodies: file }, clients);
      const acknowledged = performance.now();
      await nearest([queries[0] ?? new Float32Array(dimensions)]);
      return { acknowledgedS, indexedS: acknowledgedS + (performance.now() - acknowledged) / 1000 };
    },
  });
  return {
    version: packageVersion("chromadb"),
    insertions: [insertion("JSON arrays", (vector) => Array.from(vector)), insertion("base64", base64)],
    queryings: [
      {
        how: "HTTP, JSON arrays",
        mostClients: Number.POSITIVE_INFINITY,
        load: (clients, timing) => {
          const toLine = (vector: Float32Array) => JSON.stringify(queryBody([vector]));
          const file = writeQueries(workload, "chroma-queries.ndjson", toLine);
          return ask(url, `${COLLECTIONS}/${id}/query`, { bodies: file }, clients, timing);
        },
      },
    ],
    setEfSearch: async (efSearch) => {
      const changes = { new_configuration: { hnsw: { ef_search: efSearch } } };
      await callJson("PUT", `${url}${COLLECTIONS}/${id}`, changes);
      // An index that is loaded keeps its width.
      await server.close();
      server = await start();
    },
    search: async (of) => {
      const found: Set<number>[] = [];
      for (let i = 0; i < of.length; i += 100) {
        for (const ids of await nearest(of.slice(i, i + 100))) found.push(new Set(ids.map(rowOfId)));
      }
      return found;
    },
    close: () => server.close(),
  };
}

function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/api/v2/heartbeat`).then(
    ({ ok }) => ok,
    () => false,
  );
}
