import { summariseLoads } from "../support/collection-queries.js";
import type { LoadResult } from "../support/load-messages.js";
import { meanRecall, smallestEfSearch } from "../support/recall.js";
import type { Row } from "../support/report.js";
import type { Insertion, Querying, System, Timing, Workload } from "./system.js";

/** How a system is measured. */
export interface Plan {
  clients: readonly number[];
  insertClients: readonly number[];
  recall: number;
  repeats: number;
  timing: Timing;
}

/** What a system did. */
export interface Measured {
  inserts: Row[];
  queries: Row[];
}

/** Inserts in every way, chooses the smallest efSearch for the recall, and asks in every way. */
export async function measureSystem(
  name: string,
  system: System,
  workload: Workload,
  truth: readonly ReadonlySet<number>[],
  plan: Plan,
): Promise<Measured> {
  const inserts: Row[] = [];
  for (const insertion of system.insertions) {
    const clients = insertion.manyClients ? plan.insertClients : [1];
    for (const count of clients) inserts.push(await measureInsertion(name, insertion, count, workload.rows.length));
  }
  const chosen = await chooseEfSearch(system, workload, truth, plan.recall);
  const queries: Row[] = [];
  for (const querying of system.queryings) {
    for (const clients of new Set(plan.clients.map((count) => Math.min(count, querying.mostClients)))) {
      queries.push({ ...(await measureQuerying(name, querying, clients, plan)), ...chosen });
    }
  }
  return { inserts, queries };
}

async function measureInsertion(system: string, insertion: Insertion, clients: number, rows: number): Promise<Row> {
  const { acknowledgedS, indexedS } = await insertion.run(clients);
  return {
    system,
    how: insertion.how,
    clients,
    "acknowledged/s": rows / acknowledgedS,
    "inserted and indexed/s": rows / indexedS,
  };
}

/** Where no width is large enough, or there is none, the recall says how good the search is. */
async function chooseEfSearch(
  { setEfSearch, search }: System,
  { queries, k }: Workload,
  truth: readonly ReadonlySet<number>[],
  wanted: number,
): Promise<Row> {
  const recallNow = async () => meanRecall(await search(queries), truth);
  if (setEfSearch === undefined) return { efSearch: "exact", [`recall@${k}`]: await recallNow() };
  const { efSearch, recall } = await smallestEfSearch(k, wanted, async (ef) => {
    await setEfSearch(ef);
    return recallNow();
  });
  // Not always the last one tried.
  await setEfSearch(efSearch);
  return { efSearch: String(efSearch), [`recall@${k}`]: recall };
}

async function measureQuerying(system: string, querying: Querying, clients: number, plan: Plan): Promise<Row> {
  const runs: LoadResult[] = [];
  for (let i = 0; i < plan.repeats; i++) runs.push(await querying.load(clients, plan.timing));
  const { median, best, failures } = summariseLoads(runs);
  const { p50, p99 } = median;
  return { system, how: querying.how, clients, QPS: median.qps, "best QPS": best, p50, p99, failures };
}

/**
 * Adds a column with the ratio to what another system did in the same run with as many clients, in the best
 * of its ways of doing it.
 */
export function withRatio(rows: readonly Row[], to: string, column: string, title = `to ${to}`): Row[] {
  return rows.map((row) => {
    const theirs = rows.filter((other) => other.system === to && other.clients === row.clients);
    const best = Math.max(...theirs.map((other) => Number(other[column])));
    return theirs.length === 0 ? { ...row, [title]: undefined } : { ...row, [title]: Number(row[column]) / best };
  });
}
