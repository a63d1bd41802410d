import { crc32 } from "node:zlib";
import type { Metric } from "../vector/index.js";

/**
 * The header file of a snapshot:
 *
 *   8 bytes   "ATTNIDX" and the format version
 *   4 bytes   length of the JSON, little-endian (as everything here)
 *   n bytes   JSON of `SnapshotHeader`, UTF-8
 *   4 x nodes node -> label as uint32, 2^32 - 1 for a tombstone
 *   4 bytes   CRC-32 of all before it
 *
 * The graph itself is a file beside it, as hnswlib writes it; the header holds its name, size and CRC-32.
 */
export interface SnapshotHeader {
  hnswlib: string;
  identity: string;
  metric: Metric;
  dimensions: number;
  m: number;
  efConstruction: number;
  nodes: number;
  sequence: number;
  graphFile: string;
  graphBytes: number;
  graphCrc32: number;
  /** The links were made for other vectors: see `carryGraph`. */
  provisional?: boolean;
  /** The graph's file is that of another index, with its vectors: ours are to be put in when it is loaded. */
  carried?: boolean;
}

const FORMAT_VERSION = 1;
const MAGIC = Buffer.concat([Buffer.from("ATTNIDX"), Buffer.from([FORMAT_VERSION])]);

export function encodeSnapshotHeader(header: SnapshotHeader, labelOf: Uint32Array): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const table = Buffer.alloc(labelOf.length * 4);
  for (let i = 0; i < labelOf.length; i++) table.writeUInt32LE(labelOf[i] as number, i * 4);
  const body = Buffer.concat([MAGIC, length, json, table]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(body));
  return Buffer.concat([body, checksum]);
}

/** @throws Error with a reason fit for a log line, for anything that `encodeSnapshotHeader` did not write */
export function decodeSnapshotHeader(bytes: Buffer): { header: SnapshotHeader; labelOf: Uint32Array } {
  if (bytes.length < MAGIC.length + 8) throw new Error(`its header has only ${bytes.length} bytes`);
  if (!bytes.subarray(0, 7).equals(MAGIC.subarray(0, 7))) throw new Error("its header is not one of ours");
  if (bytes[7] !== FORMAT_VERSION) throw new Error(`its format is ${bytes[7]}, this version reads ${FORMAT_VERSION}`);
  const end = bytes.length - 4;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) throw new Error("its header's checksum is wrong");
  const tableStart = MAGIC.length + 4 + bytes.readUInt32LE(MAGIC.length);
  const header = JSON.parse(bytes.toString("utf8", MAGIC.length + 4, tableStart)) as SnapshotHeader;
  if (end - tableStart !== header.nodes * 4) throw new Error("its header's length is wrong");
  const labelOf = Uint32Array.from({ length: header.nodes }, (_, i) => bytes.readUInt32LE(tableStart + i * 4));
  return { header, labelOf };
}
