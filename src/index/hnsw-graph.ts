import {
  type GivenVector,
  type HierarchicalNSW,
  hasNativeFunctions,
  hnswlib,
  type NativeGraph,
} from "../native/index.js";
import type { MetricSpace, SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { GraphNodes, NO_NODE } from "./graph-nodes.js";
import type { GraphSearch } from "./graph-search.js";
import { NativeSearch } from "./native-search.js";
import type { SharedGraph } from "./resting-graph.js";
import { StockSearch } from "./stock-search.js";

export interface GraphParameters {
  /** Links of a point in the upper layers (twice as many in the lowest), 2 to 100. */
  m: number;
  /** Breadth of the search that finds a new point's links. */
  efConstruction: number;
}

/** Those that add rows to a graph. */
export interface Builders {
  /** How many, where the build of hnswlib-node has threads for it. */
  threads: number;
  /** Whether they rest for a moment each millisecond, in which whoever waits for a processor finds one. */
  giveWay: boolean;
}

/**
 * An HNSW graph of hnswlib whose points are never changed or deleted inside hnswlib. A label that is added again gets
 * a new node, and its old node becomes a tombstone, as a removed label's does: still walked through, left out of
 * answers by the map of this class. hnswlib's own ways are avoided on purpose: `updatePoint` wears the graph out, and
 * adding a point near nothing but marked ones reads an empty list (`mutuallyConnectNewElement`), which ends the process.
 */
export class HnswGraph {
  readonly space: MetricSpace;
  readonly dimensions: number;
  readonly parameters: GraphParameters;
  readonly #hnsw: HierarchicalNSW;
  /** Nodes are the labels that hnswlib sees. */
  #nodes: GraphNodes;
  #search: GraphSearch;
  readonly #scratch: number[] = [];
  /** Labels that are being added, and those of them that were removed meanwhile. */
  #entering: { labels: readonly number[]; gone: Set<number> } | undefined;

  private constructor(hnsw: HierarchicalNSW, space: MetricSpace, dimensions: number, parameters: GraphParameters) {
    this.#hnsw = hnsw;
    this.space = space;
    this.dimensions = dimensions;
    this.parameters = parameters;
    this.#nodes = new GraphNodes(hnsw.getMaxElements());
    this.#search = searchOf(hnsw, this.#nodes, space);
  }

  static create(space: MetricSpace, dimensions: number, parameters: GraphParameters, capacity: number): HnswGraph {
    const hnsw = new hnswlib.HierarchicalNSW(space.hnswSpace, dimensions);
    hnsw.initIndex({ maxElements: Math.max(capacity, 64), m: parameters.m, efConstruction: parameters.efConstruction });
    return new HnswGraph(hnsw, space, dimensions, parameters);
  }

  /**
   * Loads a graph that `write` saved. The caller has checked the file: hnswlib reads a damaged one without a word.
   *
   * @param labelOf node -> label, with 2^32 - 1 for tombstones
   */
  static load(
    path: string,
    labelOf: Uint32Array,
    space: MetricSpace,
    dimensions: number,
    parameters: GraphParameters,
  ): HnswGraph {
    const hnsw = new hnswlib.HierarchicalNSW(space.hnswSpace, dimensions);
    hnsw.readIndexSync(path);
    if (hnsw.getCurrentCount() !== labelOf.length) {
      throw new Error(`the graph has ${hnsw.getCurrentCount()} nodes, expected ${labelOf.length}`);
    }
    const graph = new HnswGraph(hnsw, space, dimensions, parameters);
    for (const label of labelOf) graph.#nodes.append(label);
    return graph;
  }

  /** Nodes, tombstones among them. */
  get nodes(): number {
    return this.#nodes.count;
  }

  /** Labels a search can find. */
  get live(): number {
    return this.#nodes.living;
  }

  get tombstones(): number {
    return this.#nodes.count - this.#nodes.living;
  }

  has(label: number): boolean {
    return this.#nodes.has(label);
  }

  /** The labels a search can find. */
  labels(): IterableIterator<number> {
    return this.#nodes.labels();
  }

  /** node -> label, with 2^32 - 1 for tombstones: what `load` wants. A copy. */
  labelTable(): Uint32Array {
    return this.#nodes.table();
  }

  /** Whether `addAll` leaves the calling thread free. */
  get addsAside(): boolean {
    return hasNativeFunctions(hnswlib);
  }

  /** Adds a preprocessed row, or replaces the one of this label. */
  add(label: number, row: Float32Array): void {
    this.#makeRoom(1);
    this.#hnsw.addPoint(this.#given(row), this.#nodes.count);
    this.#enter(label);
  }

  /**
   * Adds preprocessed rows (labels.length x dimensions, flat), or replaces those of the labels: where the build of hnswlib-node can, by
   * threads beside this one. Until it resolves, the graph may be searched and labels removed, those on their way too, and nothing else.
   *
   * @param labels each once
   * @param rows copied
   */
  async addAll(labels: readonly number[], rows: Float32Array, { threads, giveWay }: Builders): Promise<void> {
    if (labels.length === 0) return;
    if (!this.addsAside) {
      const rowAt = (i: number) => rows.subarray(i * this.dimensions, (i + 1) * this.dimensions);
      for (const [i, label] of labels.entries()) this.add(label, rowAt(i));
      return;
    }
    this.#makeRoom(labels.length);
    const gone = new Set<number>();
    this.#entering = { labels, gone };
    const rowOf = await new Promise<Uint32Array>((resolve, reject) => {
      (this.#hnsw as NativeGraph).addNodes(rows, threads, giveWay, (rows, problem) =>
        problem === undefined ? resolve(rows) : reject(new Error(problem)),
      );
    });
    this.#entering = undefined;
    for (const row of rowOf) {
      const label = labels[row] as number;
      this.#enter(gone.has(label) ? NO_NODE : label);
    }
  }

  /** Makes preprocessed rows (flat) the vectors of the nodes from `first` on; links stay. Only where hnswlib-node has our additions. */
  replaceRows(first: number, rows: Float32Array): void {
    (this.#hnsw as NativeGraph).setNodes(first, rows);
  }

  /** Makes the label's node a tombstone, and the one that is on its way; true when there was one or the other. */
  remove(label: number): boolean {
    const enters = this.#entering?.labels.includes(label) === true && !this.#entering.gone.has(label);
    if (enters) this.#entering?.gone.add(label);
    return this.#nodes.remove(label) || enters;
  }

  /** The row inside the graph, preprocessed. */
  row(label: number): Float32Array {
    return Float32Array.from(this.#hnsw.getPoint(this.#nodes.nodeOf(label)));
  }

  /**
   * About the `k` nearest live labels to a preprocessed query, nearest first; fewer than `k` when the walk does not
   * reach enough.
   *
   * @param allow only labels of this set
   */
  search(query: Float32Array, k: number, efSearch: number, allow?: Bitmap): SearchHits {
    const wanted = Math.min(k, this.live);
    if (wanted === 0) return { labels: new Uint32Array(0), distances: new Float64Array(0) };
    return this.#search.search(query, wanted, Math.max(efSearch, wanted), allow);
  }

  /** Whether rows can be compared where they are, see `compare`. */
  get comparesRows(): boolean {
    return hasNativeFunctions(hnswlib);
  }

  /**
   * The value in `hnswSpace` of each preprocessed query (count x dimensions, flat) against the row of each label, query by query. For
   * labels that the graph has, and only where it `comparesRows`.
   */
  compare(queries: Float32Array, labels: readonly number[], values: Float32Array): void {
    // Uint32Array.from with a function takes as long for a label as the comparison.
    const nodes = new Uint32Array(labels.length);
    for (let i = 0; i < labels.length; i++) nodes[i] = this.#nodes.nodeOf(labels[i] as number);
    (this.#hnsw as NativeGraph).compareNodes(queries, nodes, values);
  }

  /**
   * The graph as other threads can search it until something is added or it is freed: what is removed meanwhile they may still find. Undefined
   * where the build of hnswlib-node cannot.
   */
  share(): SharedGraph | undefined {
    if (!hasNativeFunctions(hnswlib)) return undefined;
    const { count, living, maps } = this.#nodes;
    return { number: (this.#hnsw as NativeGraph).share(), count, living, maps };
  }

  /** Saves the graph from a thread of the pool. Searches may go on meanwhile; nothing may be added until it resolves. */
  async write(path: string): Promise<void> {
    await this.#hnsw.writeIndex(path);
  }

  /** Gives the memory back now; the graph cannot be used afterwards. Left to the garbage collector, which sees only a small wrapper, it could stay for long. */
  free(): void {
    this.#hnsw.initIndex({ maxElements: 1 });
    this.#nodes = new GraphNodes(0);
    this.#search = searchOf(this.#hnsw, this.#nodes, this.space);
  }

  /**
   * Bytes held, by hnswlib's layout (hnswalg.h): a node has its vector, 2m + 1 links of 4 bytes, a label of 8, on
   * average 1 / (m - 1) upper layers of m + 1 links, and about 120 for tables, lock and hash entry; the maps of nodes add 8.
   */
  bytes(): number {
    const { m } = this.parameters;
    const perNode = this.dimensions * 4 + (2 * m + 1) * 4 + 8 + ((m + 1) * 4) / Math.max(1, m - 1) + 120;
    return Math.round(this.#nodes.count * perNode) + this.#nodes.bytes;
  }

  /** The next node of hnswlib stands for this label from now on. */
  #enter(label: number): void {
    this.#nodes.remove(label);
    this.#nodes.append(label);
  }

  #makeRoom(count: number): void {
    if (this.#entering !== undefined) throw new Error("rows are being added to the graph: wait until they are there");
    const needed = this.#nodes.count + count;
    if (needed > this.#hnsw.getMaxElements()) this.#hnsw.resizeIndex(Math.ceil(needed * 1.5) + 64);
  }

  /** npm's build takes plain arrays only, which costs a call into Node for each number; one array serves all calls. */
  #given(row: Float32Array): GivenVector {
    if (hnswlib.takesFloat32Array) return row;
    for (let i = 0; i < this.dimensions; i++) this.#scratch[i] = row[i] as number;
    return this.#scratch;
  }
}

/** hnswlib's own distance of two preprocessed rows, bit for bit what a search in a graph of this space gives. */
export function hnswDistance(space: MetricSpace, dimensions: number): (a: Float32Array, b: Float32Array) => number {
  const Space = space.hnswSpace === "ip" ? hnswlib.InnerProductSpace : hnswlib.L2Space;
  const native = new Space(dimensions);
  return (a, b) => space.fromHnsw(native.distance(Array.from(a), Array.from(b)));
}

/** The walk by the best that the build of hnswlib-node at hand offers. */
function searchOf(hnsw: HierarchicalNSW, nodes: GraphNodes, space: MetricSpace): GraphSearch {
  if (hasNativeFunctions(hnswlib)) {
    const native = hnsw as NativeGraph;
    return new NativeSearch((...search) => native.searchNodes(...search), nodes, space);
  }
  return new StockSearch(hnsw, nodes, space);
}
