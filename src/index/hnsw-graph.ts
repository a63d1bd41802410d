import type { MetricSpace } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { type GivenVector, type HierarchicalNSW, hnswlib } from "./hnswlib.js";

export interface GraphParameters {
  /** Links of a point in the upper layers (twice as many in the lowest), 2 to 100. */
  m: number;
  /** Breadth of the search that finds a new point's links. */
  efConstruction: number;
}

export interface GraphHits {
  labels: number[];
  distances: number[];
}

const NO_NODE = 0xffff_ffff;
/** Beyond this many results per call, leaving tombstones out by a callback is cheaper than asking for more results. */
const MAX_FETCH = 4096;

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
  /** node -> label; nodes are numbered as they are added and are the labels that hnswlib sees. */
  #labelOf: Uint32Array;
  /** label -> its live node, or NO_NODE. */
  #nodeOf: Uint32Array = new Uint32Array(0);
  #nodes = 0;
  #live = 0;
  #ef = 0;
  readonly #scratch: number[] = [];

  private constructor(hnsw: HierarchicalNSW, space: MetricSpace, dimensions: number, parameters: GraphParameters) {
    this.#hnsw = hnsw;
    this.space = space;
    this.dimensions = dimensions;
    this.parameters = parameters;
    this.#labelOf = new Uint32Array(hnsw.getMaxElements());
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
    for (const label of labelOf) graph.#append(label);
    return graph;
  }

  /** Nodes, tombstones among them. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Labels a search can find. */
  get live(): number {
    return this.#live;
  }

  get tombstones(): number {
    return this.#nodes - this.#live;
  }

  has(label: number): boolean {
    return label < this.#nodeOf.length && this.#nodeOf[label] !== NO_NODE;
  }

  /** The labels a search can find. */
  *labels(): IterableIterator<number> {
    for (let node = 0; node < this.#nodes; node++) if (this.#isLive(node)) yield this.#labelOf[node] as number;
  }

  /** node -> label, with 2^32 - 1 for tombstones: what `load` wants. A copy. */
  labelTable(): Uint32Array {
    return Uint32Array.from({ length: this.#nodes }, (_, node) =>
      this.#isLive(node) ? (this.#labelOf[node] as number) : NO_NODE,
    );
  }

  /** Adds a preprocessed row, or replaces the one of this label. */
  add(label: number, row: Float32Array): void {
    if (this.#nodes === this.#hnsw.getMaxElements()) this.#hnsw.resizeIndex(Math.ceil(this.#nodes * 1.5) + 64);
    this.#hnsw.addPoint(this.#given(row), this.#nodes);
    this.remove(label);
    this.#append(label);
  }

  /** Makes the label's node a tombstone; true when there was one. */
  remove(label: number): boolean {
    if (!this.has(label)) return false;
    this.#nodeOf[label] = NO_NODE;
    this.#live--;
    return true;
  }

  /** The row inside the graph, preprocessed. */
  row(label: number): Float32Array {
    return Float32Array.from(this.#hnsw.getPoint(this.#nodeOf[label] as number));
  }

  /**
   * About the `k` nearest live labels to a preprocessed query, nearest first; fewer than `k` when the walk does not
   * reach enough.
   *
   * @param allow only labels of this set
   */
  search(query: Float32Array, k: number, efSearch: number, allow?: Bitmap): GraphHits {
    if (this.#live === 0 || k === 0) return { labels: [], distances: [] };
    const given = this.#given(query);
    const breadth = Math.max(efSearch, k);
    if (allow !== undefined) return this.#filtered(given, k, breadth, this.#allowed(allow));
    if (this.#live === this.#nodes) {
      this.#setEf(breadth);
      return this.#toHits(this.#hnsw.searchKnn(given, Math.min(k, this.#nodes)), k);
    }
    return this.#aroundTombstones(given, k, breadth);
  }

  /** Saves the graph from a thread of the pool. Searches may go on meanwhile; nothing may be added until it resolves. */
  async write(path: string): Promise<void> {
    await this.#hnsw.writeIndex(path);
  }

  /** Gives the memory back now; the graph cannot be used afterwards. Left to the garbage collector, which sees only a small wrapper, it could stay for long. */
  free(): void {
    this.#hnsw.initIndex({ maxElements: 1 });
    this.#nodes = 0;
    this.#live = 0;
  }

  /**
   * Bytes held, by hnswlib's layout (hnswalg.h): a node has its vector, 2m + 1 links of 4 bytes, a label of 8, on
   * average 1 / (m - 1) upper layers of m + 1 links, and about 120 for tables, lock and hash entry; this class adds 8.
   */
  bytes(): number {
    const { m } = this.parameters;
    const perNode = this.dimensions * 4 + (2 * m + 1) * 4 + 8 + ((m + 1) * 4) / Math.max(1, m - 1) + 120;
    return Math.round(this.#nodes * perNode) + (this.#labelOf.length + this.#nodeOf.length) * 4;
  }

  /**
   * Searches wide enough to still have `breadth` live results when tombstones lie evenly, wider where they cluster,
   * and by a callback where only that finds the living.
   */
  #aroundTombstones(query: GivenVector, k: number, breadth: number): GraphHits {
    const wanted = Math.min(breadth, this.#live);
    for (let fetch = Math.ceil((breadth * this.#nodes) / this.#live) + 8; fetch <= MAX_FETCH; fetch *= 3) {
      this.#setEf(fetch);
      const found = this.#hnsw.searchKnn(query, Math.min(fetch, this.#nodes));
      const hits = this.#toHits(found, Number.POSITIVE_INFINITY);
      if (hits.labels.length >= Math.max(k, wanted / 2)) {
        return { labels: hits.labels.slice(0, k), distances: hits.distances.slice(0, k) };
      }
      if (fetch >= this.#nodes) break;
    }
    return this.#filtered(query, k, breadth, (node) => this.#isLive(node));
  }

  #filtered(query: GivenVector, k: number, breadth: number, test: (node: number) => boolean): GraphHits {
    this.#setEf(breadth);
    return this.#toHits(this.#hnsw.searchKnn(query, Math.min(k, this.#nodes), test), k);
  }

  /** A test for hnswlib that cannot throw (a throw there would end the process): it only reads typed arrays. */
  #allowed(allow: Bitmap): (node: number) => boolean {
    const labelOf = this.#labelOf;
    const nodeOf = this.#nodeOf;
    const words = allow.words;
    return (node) => {
      const label = labelOf[node] as number;
      return nodeOf[label] === node && (((words[label >>> 5] as number) >>> (label & 31)) & 1) === 1;
    };
  }

  #toHits(found: { neighbors: number[]; distances: number[] }, k: number): GraphHits {
    const hits: GraphHits = { labels: [], distances: [] };
    for (let i = 0; i < found.neighbors.length && hits.labels.length < k; i++) {
      const node = found.neighbors[i] as number;
      if (!this.#isLive(node)) continue;
      hits.labels.push(this.#labelOf[node] as number);
      hits.distances.push(this.space.fromHnsw(found.distances[i] as number));
    }
    return hits;
  }

  #isLive(node: number): boolean {
    return this.#nodeOf[this.#labelOf[node] as number] === node;
  }

  /** Enters the next node into the maps. */
  #append(label: number): void {
    const node = this.#nodes++;
    if (node >= this.#labelOf.length) this.#labelOf = grown(this.#labelOf, node + 1, 0);
    this.#labelOf[node] = label;
    if (label === NO_NODE) return;
    if (label >= this.#nodeOf.length) this.#nodeOf = grown(this.#nodeOf, label + 1, NO_NODE);
    this.#nodeOf[label] = node;
    this.#live++;
  }

  #setEf(ef: number): void {
    if (ef === this.#ef) return;
    this.#hnsw.setEf(ef);
    this.#ef = ef;
  }

  /** npm's build takes plain arrays only, which costs a call into Node for each number; one array serves all calls. */
  #given(row: Float32Array): GivenVector {
    if (hnswlib.takesFloat32Array) return row;
    for (let i = 0; i < this.dimensions; i++) this.#scratch[i] = row[i] as number;
    return this.#scratch;
  }
}

function grown(array: Uint32Array, length: number, fill: number): Uint32Array {
  const larger = new Uint32Array(Math.max(length, Math.ceil(array.length * 1.5))).fill(fill, array.length);
  larger.set(array);
  return larger;
}

/** hnswlib's own distance of two preprocessed rows, bit for bit what a search in a graph of this space gives. */
export function hnswDistance(space: MetricSpace, dimensions: number): (a: Float32Array, b: Float32Array) => number {
  const Space = space.hnswSpace === "ip" ? hnswlib.InnerProductSpace : hnswlib.L2Space;
  const native = new Space(dimensions);
  return (a, b) => space.fromHnsw(native.distance(Array.from(a), Array.from(b)));
}
