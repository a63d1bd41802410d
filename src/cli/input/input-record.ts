/** One record of an input file: where it stood, and the item it holds (not checked yet), or why it holds none. */
export interface InputRecord {
  /** Line of the file, from 1 (of a CSV record: its first line); of a folder, number of the file. */
  line: number;
  /** Bytes of the file read up to and with this record; for progress. */
  bytes: number;
  item?: Record<string, unknown>;
  problem?: string;
}
