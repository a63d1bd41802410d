/** No node has this number, and no label. */
export const NO_NODE = 0xffff_ffff;

/**
 * Which label each node of a graph stands for. Nodes are numbered as they are added. A label has one living node at most: when it is added
 * again, or removed, its old node becomes a tombstone.
 */
export class GraphNodes {
  /** node -> label. */
  #labelOf: Uint32Array;
  /** label -> its living node, or 2^32 - 1. */
  #nodeOf: Uint32Array = shared(0);
  #count = 0;
  #living = 0;

  /** @param capacity how many nodes are expected */
  constructor(capacity: number) {
    this.#labelOf = shared(capacity);
  }

  /** Nodes, tombstones among them. */
  get count(): number {
    return this.#count;
  }

  get living(): number {
    return this.#living;
  }

  get bytes(): number {
    return this.#labelOf.byteLength + this.#nodeOf.byteLength;
  }

  /** node -> label, and label -> living node or 2^32 - 1: in memory that threads can share, replaced by other arrays as nodes are added. */
  get maps(): { labelOf: Uint32Array; nodeOf: Uint32Array } {
    return { labelOf: this.#labelOf, nodeOf: this.#nodeOf };
  }

  has(label: number): boolean {
    return label < this.#nodeOf.length && this.#nodeOf[label] !== NO_NODE;
  }

  /** The living node of a label that has one. */
  nodeOf(label: number): number {
    return this.#nodeOf[label] as number;
  }

  labelOf(node: number): number {
    return this.#labelOf[node] as number;
  }

  isLiving(node: number): boolean {
    return this.#nodeOf[this.#labelOf[node] as number] === node;
  }

  /** The labels with a living node. */
  *labels(): IterableIterator<number> {
    for (let node = 0; node < this.#count; node++) if (this.isLiving(node)) yield this.#labelOf[node] as number;
  }

  /** node -> label, with 2^32 - 1 for tombstones. A copy. */
  table(): Uint32Array {
    return Uint32Array.from({ length: this.#count }, (_, node) =>
      this.isLiving(node) ? (this.#labelOf[node] as number) : NO_NODE,
    );
  }

  /** Enters the next node; with 2^32 - 1 as its label, as a tombstone. The label has no living node now. */
  append(label: number): void {
    const node = this.#count++;
    if (node >= this.#labelOf.length) this.#labelOf = grown(this.#labelOf, node + 1, 0);
    this.#labelOf[node] = label;
    if (label === NO_NODE) return;
    if (label >= this.#nodeOf.length) this.#nodeOf = grown(this.#nodeOf, label + 1, NO_NODE);
    this.#nodeOf[label] = node;
    this.#living++;
  }

  /** Makes the label's node a tombstone; true when there was one. */
  remove(label: number): boolean {
    if (!this.has(label)) return false;
    this.#nodeOf[label] = NO_NODE;
    this.#living--;
    return true;
  }
}

function grown(array: Uint32Array, length: number, fill: number): Uint32Array {
  const larger = shared(Math.max(length, Math.ceil(array.length * 1.5))).fill(fill, array.length);
  larger.set(array);
  return larger;
}

function shared(length: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT));
}
