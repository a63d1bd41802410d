import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const FILE = "encoder-training.ckpt";
const MAGIC = "ATTUNECK";
const VERSION = 1;
/** Magic, version, length of the header. */
const PREFIX_BYTES = MAGIC.length + 8;

/** A training as far as it got: plain data, and weights by name. */
export interface Checkpoint<Progress> {
  progress: Progress;
  arrays: Readonly<Record<string, readonly Float32Array[]>>;
}

interface Header<Progress> {
  task: string;
  progress: Progress;
  /** Lengths of the arrays, which follow in this order. */
  lengths: [name: string, lengths: number[]][];
  /** SHA-256 (hex) of the bytes of the arrays. */
  checksum: string;
}

/**
 * The checkpoint of a training, one file in a folder: `ATTUNECK`, uint32 version, uint32 length of the header, the header as JSON,
 * then float32 numbers; all little-endian. It is replaced at once and as a whole, so a crash leaves the one before.
 */
export class Checkpoints<Progress> {
  readonly #directory: string;
  readonly #task: string;
  readonly #everyMs: number;
  #savedAt = performance.now();

  /**
   * @param task what tells this task from others: a checkpoint of another task is no use
   * @param everyMs time between two checkpoints, except where the training says that one is due
   */
  constructor(directory: string, task: string, everyMs: number) {
    this.#directory = directory;
    this.#task = task;
    this.#everyMs = everyMs;
  }

  get #path(): string {
    return join(this.#directory, FILE);
  }

  /** Whether the last one is old enough for the next. */
  get isDue(): boolean {
    return performance.now() - this.#savedAt >= this.#everyMs;
  }

  async save({ progress, arrays }: Checkpoint<Progress>): Promise<void> {
    const lists = Object.entries(arrays);
    const numbers = lists.flatMap(([, list]) => list.map(bytesOf));
    const header: Header<Progress> = {
      task: this.#task,
      progress,
      lengths: lists.map(([name, list]) => [name, list.map((each) => each.length)]),
      checksum: checksumOf(numbers),
    };
    await mkdir(this.#directory, { recursive: true });
    const temporary = `${this.#path}.new`;
    const file = await open(temporary, "w");
    try {
      for (const bytes of [...encodeHeader(header), ...numbers]) await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    this.#savedAt = performance.now();
  }

  /**
   * The checkpoint of this task, or undefined where there is none that can be used.
   * @param log told why one that is there is not used
   */
  async load(log: (message: string) => void): Promise<Checkpoint<Progress> | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        log(`The checkpoint ${this.#path} cannot be read: ${error}`);
      return undefined;
    }
    const read = decode<Progress>(bytes);
    if (read === undefined)
      log(`The checkpoint ${this.#path} is damaged or of another version; the training starts anew`);
    else if (read.task !== this.#task) log(`The checkpoint ${this.#path} is of another task; the training starts anew`);
    else return read.checkpoint;
    return undefined;
  }

  /** Removes what is there. */
  async clear(): Promise<void> {
    await rm(this.#path, { force: true });
    await rm(`${this.#path}.new`, { force: true });
  }
}

function encodeHeader(header: unknown): Buffer[] {
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.write(MAGIC, "latin1");
  prefix.writeUInt32LE(VERSION, MAGIC.length);
  prefix.writeUInt32LE(json.length, MAGIC.length + 4);
  return [prefix, json];
}

function decode<Progress>(bytes: Buffer): { task: string; checkpoint: Checkpoint<Progress> } | undefined {
  if (bytes.length < PREFIX_BYTES || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return undefined;
  if (bytes.readUInt32LE(MAGIC.length) !== VERSION) return undefined;
  const start = PREFIX_BYTES + bytes.readUInt32LE(MAGIC.length + 4);
  try {
    const header = JSON.parse(bytes.toString("utf8", PREFIX_BYTES, start)) as Header<Progress>;
    const { lengths, checksum, progress, task } = header;
    const numbers = bytes.subarray(start);
    const count = lengths.flatMap(([, each]) => each).reduce((sum, length) => sum + length, 0);
    if (numbers.length !== 4 * count || checksumOf([numbers]) !== checksum) return undefined;
    return { task, checkpoint: { progress, arrays: split(numbers, lengths) } };
  } catch {
    return undefined;
  }
}

function split(bytes: Uint8Array, lengths: Header<unknown>["lengths"]): Record<string, Float32Array[]> {
  let at = 0;
  const next = (length: number) => {
    const numbers = new Float32Array(length);
    bytesOf(numbers).set(bytes.subarray(at, at + 4 * length));
    at += 4 * length;
    return numbers;
  };
  return Object.fromEntries(lengths.map(([name, each]) => [name, each.map(next)]));
}

function bytesOf(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function checksumOf(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
