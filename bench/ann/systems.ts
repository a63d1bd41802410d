import { HnswGraph } from "../../src/index/hnsw-graph.js";
import type { VectorIndex } from "../../src/index/index.js";
import type { Hnswlib } from "../../src/native/index.js";
import { metricOf } from "../../src/vector/index.js";
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

/** A graph on this thread, empty at first, and vectors as it is given them. */
export interface BareGraph<Vector> {
  name: string;
  give(vector: Float32Array): Vector;
  add(label: number, row: Vector): void;
  search(query: Vector, k: number, efSearch: number): ArrayLike<number>;
}

/** A graph of a build of hnswlib-node, by what its package offers. */
export function stockGraph(
  name: string,
  build: Hnswlib,
  { dimensions, rows }: AnnData,
  parameters: GraphParameters,
): BareGraph<number[]> {
  const graph = new build.HierarchicalNSW("ip", dimensions);
  graph.initIndex({ maxElements: rows.length / dimensions, ...parameters });
  return {
    name,
    give: (vector) => Array.from(vector),
    add: (label, row) => graph.addPoint(row, label),
    search: (query, k, efSearch) => {
      graph.setEf(efSearch);
      return graph.searchKnn(query, k).neighbors;
    },
  };
}

/** The graph of our index without its thread. */
export function ourGraph(
  name: string,
  { dimensions, rows }: AnnData,
  parameters: GraphParameters,
): BareGraph<Float32Array> {
  const graph = HnswGraph.create(metricOf("cosine"), dimensions, parameters, rows.length / dimensions);
  return {
    name,
    give: (vector) => vector,
    add: (label, row) => graph.add(label, row),
    search: (query, k, efSearch) => graph.search(query, k, efSearch).labels,
  };
}

/** A graph filled with the rows. */
export function bareSystem<Vector>(graph: BareGraph<Vector>, data: AnnData, k: number): System {
  const rows = rowsOf(data.rows, data.dimensions);
  const queries = rowsOf(data.queries, data.dimensions).map(graph.give);
  const started = performance.now();
  for (const [label, row] of rows.entries()) graph.add(label, graph.give(row));
  const addsPerSecond = (rows.length / (performance.now() - started)) * 1000;
  const search = async (efSearch: number) => {
    const pass: Pass = { found: [], times: [], ms: 0 };
    const passStarted = performance.now();
    for (const query of queries) {
      const queryStarted = performance.now();
      pass.found.push(graph.search(query, k, efSearch));
      pass.times.push(performance.now() - queryStarted);
    }
    return { ...pass, ms: performance.now() - passStarted };
  };
  return { name: graph.name, callers: 1, addsPerSecond, search };
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
