import { crc32 } from "node:zlib";
import { NO_NODE } from "../graph-nodes.js";
import type { GraphFile } from "./graph-file.js";

/** Bytes of the graph worked on at once. */
const BLOCK_BYTES = 4 * 1024 * 1024;

/** Nodes `first`, `first + 1` and so on of a saved graph. */
export interface NodeBlock {
  first: number;
  /** As they are in the file; see `GraphFile.layout`. Valid until the next block is taken. */
  bytes: Buffer;
  /** The label whose row each of them is to get; 2^32 - 1 where its vector stays. */
  labels: Uint32Array;
}

/**
 * Goes once through a saved graph, looks at each node, and tells which row is to be its vector: that of its label. A node without a live
 * label is still walked through, so it gets the row of a node it is linked to: left where it was, it would lead astray.
 */
export class NodeBlocks {
  /** CRC-32 of the whole file, at the end. */
  checksum = 0;

  /** @param labelOf node -> label, 2^32 - 1 for tombstones */
  constructor(
    private readonly file: GraphFile,
    private readonly labelOf: Uint32Array,
  ) {}

  /** @throws Error when a node is not what hnswlib's layout and our way of numbering nodes make it */
  *[Symbol.iterator](): Generator<NodeBlock> {
    const { file } = this;
    const { nodes } = file.shape;
    const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / (file.layout.words * 4)));
    // Fresh memory for each block would take longer than reading into it.
    const memory = new ArrayBuffer(Math.min(perBlock, nodes) * file.layout.words * 4);
    this.checksum = crc32(file.header());
    for (let first = 0; first < nodes; first += perBlock) {
      const bytes = file.nodes(first, Math.min(perBlock, nodes - first), memory);
      this.checksum = crc32(bytes, this.checksum);
      yield { first, bytes, labels: this.#rowLabels(bytes, first) };
    }
    this.checksum = crc32(file.upperLayers(), this.checksum);
  }

  #rowLabels(bytes: Buffer, first: number): Uint32Array {
    const { layout, shape } = this.file;
    const numbers = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const labels = new Uint32Array(numbers.length / layout.words);
    for (let place = 0; place < labels.length; place++) {
      const start = place * layout.words;
      const node = first + place;
      if (numbers[start + layout.label] !== node || numbers[start + layout.label + 1] !== 0) {
        throw new Error(`its node ${node} has another label, ${numbers[start + layout.label]}`);
      }
      // The number takes two bytes; the third is hnswlib's mark of a deletion, which we never make.
      const count = numbers[start] as number;
      let label = this.labelOf[node] as number;
      let isSound = count <= 2 * shape.m;
      for (let i = 0; i < count && isSound; i++) {
        const link = numbers[start + layout.links + i] as number;
        isSound = link < shape.nodes;
        if (label === NO_NODE && isSound) label = this.labelOf[link] as number;
      }
      if (!isSound) throw new Error(`the links of its node ${node} are damaged`);
      labels[place] = label;
    }
    return labels;
  }
}
