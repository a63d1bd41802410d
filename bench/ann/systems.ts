import type { GivenVector, Hnswlib } from "../../src/index/hnswlib.js";
import type { VectorIndex } from "../../src/index/index.js";
import { rowsOf } from "../support/clustered-vectors.js";
import type { AnnData } from "./data.js";

/** Every query once. */
export interface Pass {
  found: ArrayLike<number>[];
  /** Of each query, in ms. */
  times: number[];
  ms: number;
}

/** Something filled with the rows, to be searched. */
export interface System {
  name: string;
  callers: number;
  addsPerSecond: number;
  search(efSearch: number): Promise<Pass>;
}

/** Our index with the rows in it. */
export interface FilledIndex {
  name: string;
  index: VectorIndex;
  addsPerSecond: number;
}

interface GraphParameters {
  m: number;
  efConstruction: number;
}

/** A build of hnswlib-node and how it is given vectors. */
export interface Build {
  name: string;
  hnswlib: Hnswlib;
  give(row: Float32Array): GivenVector;
}

/** A graph of hnswlib-node, built and searched on this thread. */
export function bareSystem(
  { name, hnswlib, give }: Build,
  data: AnnData,
  parameters: GraphParameters,
  k: number,
): System {
  const rows = rowsOf(data.rows, data.dimensions);
  const queries = rowsOf(data.queries, data.dimensions).map(give);
  const graph = new hnswlib.HierarchicalNSW("ip", data.dimensions);
  graph.initIndex({ maxElements: rows.length, ...parameters });
  const started = performance.now();
  for (const [label, row] of rows.entries()) graph.addPoint(give(row), label);
  const addsPerSecond = (rows.length / (performance.now() - started)) * 1000;
  const search = async (efSearch: number) => {
    graph.setEf(efSearch);
    const pass: Pass = { found: [], times: [], ms: 0 };
    const passStarted = performance.now();
    for (const query of queries) {
      const queryStarted = performance.now();
      pass.found.push(graph.searchKnn(query, k).neighbors);
      pass.times.push(performance.now() - queryStarted);
    }
    return { ...pass, ms: performance.now() - passStarted };
  };
  return { name, callers: 1, addsPerSecond, search };
}

/** Our index, asked by so many callers at a time. */
export function indexSystem(
  { name, index, addsPerSecond }: FilledIndex,
  data: AnnData,
  callers: number,
  k: number,
): System {
  const queries = rowsOf(data.queries, data.dimensions);
  const search = async (efSearch: number) => {
    const pass: Pass = { found: [], times: [], ms: 0 };
    const waiting = queries.entries();
    const passStarted = performance.now();
    const call = async () => {
      for (const [i, query] of waiting) {
        const queryStarted = performance.now();
        const [hits] = await index.search(query, 1, { k, efSearch });
        pass.times.push(performance.now() - queryStarted);
        pass.found[i] = hits?.labels ?? [];
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
    return { ...pass, ms: performance.now() - passStarted };
  };
  return { name, callers, addsPerSecond, search };
}

/** The passes of each system; they take turns, so that what else the machine does meets them alike. */
export async function takeTurns(
  systems: readonly System[],
  efSearch: (system: System) => number,
  repeats: number,
): Promise<Map<System, Pass[]>> {
  const passes = new Map<System, Pass[]>(systems.map((system) => [system, []]));
  for (let i = 0; i < repeats; i++) {
    for (const [system, list] of passes) list.push(await system.search(efSearch(system)));
  }
  return passes;
}
