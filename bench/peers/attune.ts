import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneClient } from "../../src/client/index.js";
import { topIds } from "../support/collection-queries.js";
import { describeMachine } from "../support/machine.js";
import { startServerProcess } from "../support/server-process.js";
import { ask, sendOnce } from "./http.js";
import { base64, writeBatches, writeQueries } from "./request-file.js";
import { type Insertion, type Querying, rowOfId, type System, type Workload } from "./system.js";

const LAG_POLL_MS = 5;

/** How a vector stands in a JSON body. */
const ENCODINGS = {
  "JSON arrays": (vector: Float32Array) => Array.from(vector),
  base64,
} as const;
type Encoding = keyof typeof ENCODINGS;

/** This project's server, asked over HTTP. */
export async function openAttune(workload: Workload): Promise<System> {
  const { dimensions, m, efConstruction, k } = workload;
  const server = await startServerProcess({ data: path.join(workload.directory, "attune") });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  let name = "";
  let made = 0;
  let efSearch = 0;
  const insertion = (how: Encoding): Insertion => ({
    how: `HTTP, ${how}`,
    manyClients: true,
    run: async (clients) => {
      if (name !== "") await client.collection(name).delete();
      name = `bench-${made++}`;
      const { collection } = await client.createCollection(name, {
        modality: "vector",
        dimensions,
        index: { m, efConstruction },
      });
      const file = writeBatches(workload, "attune-items.ndjson", ({ ids, vectors }) =>
        JSON.stringify({ items: vectors.map((vector, i) => ({ id: ids[i], vector: ENCODINGS[how](vector) })) }),
      );
      const acknowledgedS = await sendOnce(server.url, `/v1/collections/${name}/items`, file, clients);
      const acknowledged = performance.now();
      while ((await collection.info()).status.index.lag > 0) await sleep(LAG_POLL_MS);
      return { acknowledgedS, indexedS: acknowledgedS + (performance.now() - acknowledged) / 1000 };
    },
  });
  const querying = (how: Encoding): Querying => ({
    how: `HTTP, ${how}`,
    mostClients: Number.POSITIVE_INFINITY,
    load: (clients, timing) => {
      const file = writeQueries(workload, "attune-queries.ndjson", (vector) =>
        JSON.stringify({ vector: ENCODINGS[how](vector), k, efSearch }),
      );
      return ask(server.url, `/v1/collections/${name}/query`, file, clients, timing);
    },
  });
  return {
    version: describeMachine().versions.attune ?? "",
    insertions: [insertion("JSON arrays"), insertion("base64")],
    queryings: [querying("JSON arrays"), querying("base64")],
    setEfSearch: async (ef) => {
      efSearch = ef;
    },
    search: async (of) => {
      const found = await topIds(client.collection(name), of, { k, efSearch });
      return found.map((ids) => new Set([...ids].map(rowOfId)));
    },
    close: async () => {
      client.close();
      await server.stop();
    },
  };
}
