import { summariseLoads } from "../support/collection-queries.js";
import type { LoadResult } from "../support/load-messages.js";
import { meanRecall, smallestEfSearch } from "../support/recall.js";
import type { Row } from "../support/report.js";
import type { Insertion, Querying, System, Timing, Workload } from "./system.js";

/** How systems are measured. */
export interface Plan {
  clients: readonly number[];
  insertClients: readonly number[];
  recall: number;
  repeats: number;
  timing: Timing;
}

/** A system that has all rows and is set to the efSearch that it needs. */
export interface Filled {
  name: string;
  system: System;
  inserts: Row[];
  /** The efSearch, and the recall with it. */
  chosen: Row;
}

/** So many clients that ask a system in one way, and what was measured of them. */
interface Measurement {
  of: Filled;
  querying: Querying;
  clients: number;
  runs: LoadResult[];
}

/** Inserts in every way, and chooses the smallest efSearch for the recall. */
export async function fill(
  name: string,
  system: System,
  workload: Workload,
  truth: readonly ReadonlySet<number>[],
  plan: Plan,
): Promise<Filled> {
  const inserts: Row[] = [];
  for (const insertion of system.insertions) {
    const clients = insertion.manyClients ? plan.insertClients : [1];
    for (const count of clients) inserts.push(await measureInsertion(name, insertion, count, workload.rows.length));
  }
  return { name, system, inserts, chosen: await chooseEfSearch(system, workload, truth, plan.recall) };
}

/**
 * Asks every system in every way, in rounds over all of them, so that what slows the machine for a while slows them all. One that fails is
 * asked no more, and has no row.
 */
export async function measureQueries(
  systems: readonly Filled[],
  plan: Plan,
  onFailure: (of: Filled, error: unknown) => void,
): Promise<Row[]> {
  const failed = new Set<Filled>();
  const measurements = systems.flatMap((of) => measurementsOf(of, plan));
  for (const count of new Set(measurements.map(({ clients }) => clients))) {
    for (let round = 0; round < plan.repeats; round++) {
      for (const { of, querying, clients, runs } of measurements) {
        if (clients !== count || failed.has(of)) continue;
        try {
          runs.push(await querying.load(clients, plan.timing));
        } catch (error) {
          failed.add(of);
          onFailure(of, error);
        }
      }
    }
  }
  return measurements.filter(({ of }) => !failed.has(of)).map(summarise);
}

function measurementsOf(of: Filled, plan: Plan): Measurement[] {
  return of.system.queryings.flatMap((querying) => {
    const clients = new Set(plan.clients.map((count) => Math.min(count, querying.mostClients)));
    return Array.from(clients, (count) => ({ of, querying, clients: count, runs: [] }));
  });
}

function summarise({ of, querying, clients, runs }: Measurement): Row {
  const { median, best, failures } = summariseLoads(runs);
  const { qps, p50, p99 } = median;
  const { name, chosen } = of;
  return { system: name, how: querying.how, clients, QPS: qps, "best QPS": best, p50, p99, failures, ...chosen };
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
