import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { FilterFunction, SearchResult } from "hnswlib-node";

type Stock = typeof import("hnswlib-node");

/** A vector as a build takes it: a plain array, or if it says so (`takesFloat32Array`), a Float32Array. */
export type GivenVector = number[] | Float32Array;

export interface HierarchicalNSW extends InstanceType<Stock["HierarchicalNSW"]> {
  addPoint(point: GivenVector, label: number, replaceDeleted?: boolean): void;
  searchKnn(query: GivenVector, k: number, filter?: FilterFunction): SearchResult;
}

/** What src/setup/hnswlib adds to a graph whose points were added as 0, 1, 2 and so on. */
export interface NativeGraph extends HierarchicalNSW {
  /**
   * Writes up to `k` of the nearest nodes and their distances into `nodes` and `distances`, nearest first, and returns how many. With the maps
   * node -> label and label -> node only nodes that are their label's, and of these only labels whose bit is set in `allow`.
   */
  searchNodes(
    query: Float32Array,
    k: number,
    breadth: number,
    labelOf: Uint32Array | undefined,
    nodeOf: Uint32Array | undefined,
    allow: Uint32Array | undefined,
    nodes: Uint32Array,
    distances: Float32Array,
  ): number;
  /**
   * Adds rows as the next nodes, by so many threads beside this one, which rest for a moment each millisecond where they give way. Until `done`
   * is called, `searchNodes` finds the nodes that were there before, and nothing else may be asked of the graph; `rowOf[i]` is then the number of
   * the row that became the i-th of them, unless there was a `problem`.
   */
  addNodes(
    rows: Float32Array,
    threads: number,
    giveWay: boolean,
    done: (rowOf: Uint32Array, problem?: string) => void,
  ): void;
  /** Makes preprocessed rows (flat) the vectors of the nodes from `first` on; the links stay as they are. */
  setNodes(first: number, rows: Float32Array): void;
  /** The number by which every thread of the process can search the graph (`searchShared`), until it is changed or freed. */
  share(): number;
  /** Writes the distance of each query to each node's row, query by query. */
  compareNodes(queries: Float32Array, nodes: Uint32Array, distances: Float32Array): void;
}

/** A build of hnswlib-node: npm's, or the set-up's with the additions of src/setup/hnswlib. */
export interface Hnswlib extends Omit<Stock, "HierarchicalNSW">, Partial<NativeFunctions> {
  HierarchicalNSW: new (...args: ConstructorParameters<Stock["HierarchicalNSW"]>) => HierarchicalNSW;
  takesFloat32Array?: boolean;
}

/** There with what `NativeGraph` adds, or not at all. */
export interface NativeFunctions {
  /** Writes the distance of each query to each row, query by query. */
  compareRows(
    space: "ip" | "l2",
    dimensions: number,
    queries: Float32Array,
    rows: Float32Array,
    distances: Float32Array,
  ): void;
  /** Asks for huge pages for the memory of a new array, if it is large enough for some. */
  useHugePages(array: Float32Array): void;
  /** Gives memory of the process that nobody has back to the system: some 10 ms, in which other threads may wait for memory. */
  trimMemory(): void;
  /**
   * Reads the numbers of a JSON array that stand from `start` to `end`, its brackets left out, and returns how many: those that float64 numbers would give, to
   * the last bit. 0 for anything but one or more numbers, and for unusual ones: beyond 19 digits, about 10^40 or float32, or at the middle of two float32.
   */
  readJsonNumbers(bytes: Uint8Array, start: number, end: number, into: Float32Array): number;
  /** `searchNodes` of the graph that a thread has shared by this number; -1 when it is no longer shared. */
  searchShared(number: number, ...search: Parameters<NativeGraph["searchNodes"]>): number;
  /** At most so many threads; `tell` is called when there are answers, once until they are taken, unless somebody watches. */
  Walkers: new (
    threads: number,
    tell: () => void,
  ) => NativeWalkers;
}

/** Threads that walk in shared graphs while this one does something else. */
export interface NativeWalkers {
  /**
   * Asks for what `searchNodes` finds in the graph shared by this number, which takes about `cost` microseconds. The query is copied; the maps
   * and what is allowed have to stay until the answer. False when the graph is no longer shared.
   */
  ask(
    id: number,
    number: number,
    query: Float32Array,
    k: number,
    breadth: number,
    cost: number,
    labelOf: Uint32Array | undefined,
    nodeOf: Uint32Array | undefined,
    allow: Uint32Array | undefined,
  ): boolean;
  /** Whether somebody looks for answers, who need not be told; after it ends, somebody has to take once more. */
  watch(watched: boolean): void;
  /** Returns when there is an answer, or the time is up. Other threads that want the processor go first. */
  wait(microseconds: number): void;
  /**
   * Takes as many answers as `ids` has room for, and returns how many. The i-th has `counts[i]` hits, from `i * nodes.length / ids.length` on, or -1
   * when its graph is no longer shared; hits that find no room there are left out.
   */
  take(ids: Float64Array, counts: Int32Array, nodes: Uint32Array, distances: Float32Array): number;
}

// A CommonJS native addon: `require` also works in worker threads and skips the interop guesswork of `import`.
const require = createRequire(import.meta.url);
const PACKAGE = require.resolve("hnswlib-node/package.json");

/** The version of hnswlib-node whose file layout and behaviour this code was checked against. */
export const HNSWLIB_VERSION = (require(PACKAGE) as { version: string }).version;

export interface TunedBuild {
  file: string;
  /** What it was compiled for: "native", or a level such as "x86-64-v3". */
  march: string;
}

/** What the set-up notes about its build (src/setup/steps/hnswlib.js). */
interface BuildRecord {
  key: { march: string; version: string };
  file: string;
  /** Flags of /proc/cpuinfo, with spaces between, without which the build must not be run. */
  needs: string;
}

/**
 * The set-up's build of hnswlib-node for more than the oldest CPUs; undefined when there is none for this version of the
 * package, or when this CPU lacks an instruction it may use: a copied directory, or an image built elsewhere.
 */
export function findTunedBuild(
  folder = path.resolve(PACKAGE, "../../.attune-hnswlib"),
  cpuInfo = "/proc/cpuinfo",
): TunedBuild | undefined {
  try {
    const build = JSON.parse(readFileSync(path.join(folder, "build.json"), "utf8")) as Partial<BuildRecord>;
    const flags = /^flags\s*:\s*(.*)$/m.exec(readFileSync(cpuInfo, "utf8"))?.[1]?.split(" ");
    const { key, file, needs } = build;
    if (file === undefined || key?.version !== HNSWLIB_VERSION) return undefined;
    if (!needs?.split(" ").every((flag) => flags?.includes(flag))) return undefined;
    return { file: path.join(folder, file), march: key.march };
  } catch {
    return undefined;
  }
}

/**
 * hnswlib-node in the given build, or where that is missing or does not load (it may want a newer C library), in npm's;
 * and what it was compiled for, which is undefined for npm's.
 */
export function loadHnswlib(tuned: TunedBuild | undefined): { hnswlib: Hnswlib; march: string | undefined } {
  if (tuned !== undefined) {
    try {
      return { hnswlib: require(tuned.file) as Hnswlib, march: tuned.march };
    } catch (error) {
      process.emitWarning(`hnswlib-node is used as npm built it; the build for ${tuned.march} does not load: ${error}`);
    }
  }
  return { hnswlib: require("hnswlib-node") as Hnswlib, march: undefined };
}

export const { hnswlib, march } = loadHnswlib(process.env.ATTUNE_MARCH === "off" ? undefined : findTunedBuild());

/** Whether it has what the set-up adds: its graphs are `NativeGraph`s then. */
export function hasNativeFunctions(build: Hnswlib): build is Hnswlib & NativeFunctions {
  return build.compareRows !== undefined;
}
