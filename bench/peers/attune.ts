import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneClient } from "../../src/client/index.js";
import { topIds, type VectorBody, writeItemBodies, writeQueryBodies } from "../support/collection-queries.js";
import { describeMachine } from "../support/machine.js";
import { startServerProcess } from "../support/server-process.js";
import { ask, sendOnce } from "./http.js";
import { batches } from "./request-file.js";
import { type Insertion, type Querying, rowOfId, type System, type Workload } from "./system.js";

const LAG_POLL_MS = 5;

const BODIES: Record<VectorBody, string> = { json: "JSON arrays", base64: "base64", binary: "binary bodies" };

/** This project's server, asked over HTTP. */
export async function openAttune(workload: Workload): Promise<System> {
  const { dimensions, m, efConstruction, k, queries, directory } = workload;
  const server = await startServerProcess({ data: path.join(directory, "attune") });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  let name = "";
  let made = 0;
  let efSearch = 0;
  const insertion = (body: VectorBody): Insertion => ({
    how: `HTTP, ${BODIES[body]}`,
    manyClients: true,
    run: async (clients) => {
      if (name !== "") await client.collection(name).delete();
      name = `bench-${made++}`;
      const { collection } = await client.createCollection(name, {
        modality: "vector",
        dimensions,
        index: { m, efConstruction },
      });
      const bodies = writeItemBodies(path.join(directory, "attune-items"), batches(workload), body);
      const acknowledgedS = await sendOnce(server.url, `/v1/collections/${name}/items`, bodies, clients);
      const acknowledged = performance.now();
      while ((await collection.info()).status.index.lag > 0) await sleep(LAG_POLL_MS);
      return { acknowledgedS, indexedS: acknowledgedS + (performance.now() - acknowledged) / 1000 };
    },
  });
  const querying = (body: VectorBody): Querying => ({
    how: `HTTP, ${BODIES[body]}`,
    mostClients: Number.POSITIVE_INFINITY,
    load: (clients, timing) => {
      const bodies = writeQueryBodies(path.join(directory, "attune-queries"), queries, body, { k, efSearch });
      return ask(server.url, `/v1/collections/${name}/query`, bodies, clients, timing);
    },
  });
  return {
    version: describeMachine().versions.attune ?? "",
    insertions: [insertion("json"), insertion("base64"), insertion("binary")],
    queryings: [querying("json"), querying("base64"), querying("binary")],
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
