import { AttuneError, type ErrorCode } from "../errors/index.js";
import type { Bitmap } from "./bitmap.js";
import type { SharedGraph } from "./resting-graph.js";
import type { IndexOptions, IndexStatus, RebuildResult, RowSource } from "./vector-index.js";

export interface HnswParameters {
  /** Links of a point in the upper layers (twice as many in the lowest), 2 to 100. */
  m: number;
  /** Breadth of the search for a new point's links. */
  efConstruction: number;
  /** Default breadth of a search. */
  efSearch: number;
  /** Threads that hold a part of the points each and are all asked by every search, 1 to 16. @default 1 */
  shards?: number;
}

/** A saved index over the same labels with other vectors, whose links are to be kept. */
export interface CarriedIndex {
  snapshotDirectory: string;
  identity: string;
  /** The rows that it was built of. */
  rows: RowSource;
}

/** What the engine is opened with; plain data, it travels to the worker. */
export interface EngineOptions extends IndexOptions {
  parameters: HnswParameters;
  snapshotDirectory?: string;
  /** Whose rows these are, kept in the snapshot: a snapshot of others is refused. */
  identity: string;
  /** The newest committed write; a snapshot newer than this is refused. */
  lastSequence: number;
  maxPending: number;
  rebuildShare: number;
  niceness: number;
  /** Above 0, in shared memory, while others want the processors more. */
  busy?: Int32Array;
  /** Above 0, in shared memory, while searches are under way in any index. */
  searching: Int32Array;
  carry?: CarriedIndex;
  fresh: boolean;
  /** Whether short searches are walks on the calling thread, while nothing changes the graph. */
  searchHere: boolean;
}

export interface SearchRequest {
  /** Raw, flat; the engine prepares them in place. */
  queries: Float32Array;
  k: number;
  efSearch?: number;
  exact?: boolean;
  allow?: Bitmap;
}

/** One call of `search` on its way to the worker; its queries are the next `count` of the message. */
export interface SearchCall {
  id: number;
  count: number;
  k: number;
  efSearch?: number;
  exact?: boolean;
  /** Words of the `allow` bitmap. */
  allow?: Uint32Array;
}

export interface SearchesMessage {
  type: "search";
  calls: SearchCall[];
  queries: Float32Array;
}

/** Calls other than `search`: their arguments, and what they resolve to. */
export interface Calls {
  add: { arguments: { labels: Uint32Array }; result: undefined };
  remove: { arguments: { labels: Uint32Array }; result: undefined };
  status: { arguments: object; result: IndexStatus };
  drain: { arguments: { progress: boolean }; result: undefined };
  rebuild: { arguments: { progress: boolean }; result: RebuildResult };
  snapshot: { arguments: { sequence: number }; result: undefined };
}

export type CallMessage = { [T in keyof Calls]: { type: T; id: number } & Calls[T]["arguments"] }[keyof Calls];

/** Whether a call of this kind changes the graph at once. (One that was rebuilt takes the place of the other later, which is then no longer shared.) */
export function changesGraph(type: keyof Calls): boolean {
  return type === "add" || type === "remove";
}

export type ToWorker = SearchesMessage | { type: "setEfSearch"; efSearch: number } | { type: "close" } | CallMessage;

/** Answers to searches, by `packHits`. */
export interface HitsMessage {
  type: "hits";
  packed: Float64Array;
}

/** The graph for the other thread to search, until that sends a call that changes something; `after` is the last such call in it. */
export interface RestingMessage {
  type: "resting";
  after: number;
  graph: SharedGraph;
}

export type FromWorker =
  | { type: "ready" }
  | RestingMessage
  | HitsMessage
  | { type: "done"; id: number; result: IndexStatus | RebuildResult | undefined }
  | { type: "failed"; id: number; code: ErrorCode; message: string }
  | { type: "progress"; id: number; done: number; total: number }
  | { type: "log"; message: string };

/** How the call of this number ended. */
export function settledMessage(id: number, error?: unknown): FromWorker {
  if (error === undefined) return { type: "done", id, result: undefined };
  const code = error instanceof AttuneError ? error.code : "internal";
  return { type: "failed", id, code, message: error instanceof Error ? error.message : String(error) };
}
