import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/**
 * A file of `HierarchicalNSW::saveIndex` (hnswalg.h), everything little-endian:
 *
 *   96 bytes            header: see `checkHeader`
 *   nodes x elementBytes  for each node: 4 bytes number of links, 2m links of 4 bytes, the vector, a label of 8 bytes
 *   nodes x (4 + n)     for each node: n, the bytes of its links in the upper layers, and those links
 *
 * The layout is no promise of hnswlib's, so `open` compares every number with what is expected here, and whoever walks the nodes checks
 * each: a version that saves otherwise is found out, not misread.
 */
const HEADER_BYTES = 96;
/** Two libraries' logarithms may differ in the last bit. */
const LOGARITHM_TOLERANCE = 1e-12;

export interface GraphShape {
  nodes: number;
  m: number;
  efConstruction: number;
  dimensions: number;
}

/** Where things are within one node of the lowest layer, in 4-byte words. */
export interface NodeLayout {
  words: number;
  /** First word of the links, behind their number. */
  links: number;
  vector: number;
  label: number;
}

/** A saved graph, open for reading. */
export class GraphFile {
  readonly layout: NodeLayout;

  private constructor(
    private readonly descriptor: number,
    readonly shape: GraphShape,
    readonly bytes: number,
  ) {
    this.layout = layoutOf(shape);
  }

  /** @throws Error with a reason fit for a log line, when it is not a graph of this shape as the pinned hnswlib saves it */
  static open(path: string, shape: GraphShape): GraphFile {
    const descriptor = openSync(path, "r");
    const file = new GraphFile(descriptor, shape, fstatSync(descriptor).size);
    try {
      const top = checkHeader(file.header(), shape);
      checkUpperLayers(file.upperLayers(), shape, top);
      return file;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  header(): Buffer {
    return this.read(0, HEADER_BYTES);
  }

  /**
   * Nodes `first` to `first + count - 1` of the lowest layer.
   *
   * @param memory to read them into @default new memory
   */
  nodes(first: number, count: number, memory?: ArrayBuffer): Buffer {
    const bytes = this.layout.words * 4;
    return this.read(HEADER_BYTES + first * bytes, count * bytes, memory);
  }

  /** All that follows the lowest layer. */
  upperLayers(): Buffer {
    const start = HEADER_BYTES + this.shape.nodes * this.layout.words * 4;
    return this.read(start, this.bytes - start);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private read(position: number, length: number, memory = new ArrayBuffer(Math.max(0, length))): Buffer {
    const bytes = Buffer.from(memory, 0, Math.max(0, length));
    for (let got = 0; got < length; ) {
      const read = readSync(this.descriptor, bytes, got, length - got, position + got);
      if (read === 0) throw new Error(`its graph ends at byte ${position + got}`);
      got += read;
    }
    return bytes;
  }
}

function layoutOf({ m, dimensions }: GraphShape): NodeLayout {
  const vector = 1 + 2 * m;
  return { words: vector + dimensions + 2, links: 1, vector, label: vector + dimensions };
}

/** Compares each number of the header with what this shape must give; returns the top layer. */
function checkHeader(header: Buffer, shape: GraphShape): number {
  const { nodes, m, efConstruction } = shape;
  const { words, vector, label } = layoutOf(shape);
  const size = (offset: number) => Number(header.readBigUInt64LE(offset));
  const exact: [name: string, got: number, expected: number][] = [
    ["offsetLevel0", size(0), 0],
    ["count", size(16), nodes],
    ["element size", size(24), words * 4],
    ["label offset", size(32), label * 4],
    ["vector offset", size(40), vector * 4],
    ["maxM", size(56), m],
    ["maxM0", size(64), 2 * m],
    ["M", size(72), m],
    ["efConstruction", size(88), Math.max(efConstruction, m)],
  ];
  for (const [name, got, expected] of exact) {
    if (got !== expected) throw new Error(`its graph's ${name} is ${got}, expected ${expected}`);
  }
  const multiplier = header.readDoubleLE(80);
  if (!(Math.abs(multiplier - 1 / Math.log(m)) <= LOGARITHM_TOLERANCE)) {
    throw new Error(`its graph's level multiplier is ${multiplier}, expected 1 / ln ${m}`);
  }
  const capacity = size(8);
  if (capacity < nodes) throw new Error(`its graph's capacity is ${capacity}, below its ${nodes} nodes`);
  const top = header.readInt32LE(48);
  const entry = header.readUInt32LE(52);
  if (top < 0 || entry >= nodes) throw new Error(`its graph is entered at node ${entry} of ${nodes}, layer ${top}`);
  return top;
}

/** Walks the link lists: each is some whole layers long, up to the top one, and the last ends with the file. */
function checkUpperLayers(bytes: Buffer, { nodes, m }: GraphShape, top: number): void {
  const layerBytes = (m + 1) * 4;
  let position = 0;
  let highest = 0;
  for (let node = 0; node < nodes; node++) {
    if (position + 4 > bytes.length) throw new Error(`its graph has no upper links of node ${node}`);
    const length = bytes.readUInt32LE(position);
    if (length % layerBytes !== 0 || length > top * layerBytes) {
      throw new Error(`its graph's upper links of node ${node} take ${length} bytes, expected layers of ${layerBytes}`);
    }
    highest = Math.max(highest, length / layerBytes);
    position += 4 + length;
  }
  if (position !== bytes.length) throw new Error(`its graph has ${bytes.length - position} bytes behind its last node`);
  if (highest !== top) throw new Error(`its graph's highest node is in layer ${highest}, expected ${top}`);
}
