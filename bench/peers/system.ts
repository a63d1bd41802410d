import type { LoadResult } from "../support/load-messages.js";

/** What every system is given to do. */
export interface Workload {
  /** Of length 1; the i-th has the id `v` + i. */
  rows: readonly Float32Array[];
  queries: readonly Float32Array[];
  dimensions: number;
  k: number;
  m: number;
  efConstruction: number;
  /** Rows of a request. */
  batch: number;
  /** A temporary folder for data and for files of requests. */
  directory: string;
  /** Folder of another Debian whose programs and libraries are used; undefined for this machine's own. */
  debian: string | undefined;
}

/** How long a measurement of queries takes. */
export interface Timing {
  warmUpMs: number;
  durationMs: number;
}

/** A way of inserting. */
export interface Insertion {
  how: string;
  /** Whether more than one client can insert at the same time. */
  manyClients: boolean;
  /** Inserts all rows into a new collection, which is the one searched from then on. */
  run(clients: number): Promise<InsertTimes>;
}

export interface InsertTimes {
  /** Until the last row was acknowledged. */
  acknowledgedS: number;
  /** Until the index held them all. */
  indexedS: number;
}

/** A way of asking. */
export interface Querying {
  how: string;
  /** More make no sense. */
  mostClients: number;
  load(clients: number, timing: Timing): Promise<LoadResult>;
}

/** A system that is running. */
export interface System {
  version: string;
  insertions: readonly Insertion[];
  /** Sets the width of search from now on; undefined where the search is exact. */
  setEfSearch: ((efSearch: number) => Promise<void>) | undefined;
  /** Positions of the nearest rows of each query. */
  search(queries: readonly Float32Array[]): Promise<Set<number>[]>;
  queryings: readonly Querying[];
  close(): Promise<void>;
}

/** @throws NotInstalled where it is not there. */
export type OpenSystem = (workload: Workload) => Promise<System>;

/** A system that is looked for in vain; the message says what to do. */
export class NotInstalled extends Error {}

/** The id of the i-th row, and back. */
export const rowId = (i: number) => `v${i}`;
export const rowOfId = (id: string) => Number(id.slice(1));
