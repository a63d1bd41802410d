import { freeArray } from "../vector/index.js";

/** Smaller pieces are not worth keeping. */
const MIN_BYTES = 256 * 1024;
/** What is kept in all. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
const KEEP_MS = 2000;

/** New pieces are a little larger than asked for, so that bodies of nearly the same size can use each other's. */
const ROOM = 1 / 8;

/** Memory for large bodies, used again while more of them arrive: the system takes a millisecond to give 5 MB. */
class BodyMemory {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** At least so many bytes, with whatever is in them. */
  take(bytes: number): Buffer {
    if (bytes < MIN_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const position = this.#kept.findIndex(({ length }) => length >= bytes);
    if (position < 0) return Buffer.allocUnsafeSlow(Math.ceil(bytes * (1 + ROOM)));
    const [memory] = this.#kept.splice(position, 1) as [Buffer];
    this.#keptBytes -= memory.length;
    return memory;
  }

  /** Nobody may use it any more. */
  giveBack(memory: Buffer): void {
    if (memory.length < MIN_BYTES || this.#keptBytes + memory.length > MAX_KEPT_BYTES) {
      freeArray(memory);
      return;
    }
    this.#kept.push(memory);
    this.#keptBytes += memory.length;
    this.#timer ??= setTimeout(() => this.#drop(), KEEP_MS).unref();
    this.#timer.refresh();
  }

  #drop(): void {
    this.#timer = undefined;
    for (const memory of this.#kept) freeArray(memory);
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

export const bodyMemory = new BodyMemory();
