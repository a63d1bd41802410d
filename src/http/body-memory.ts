/** Smaller pieces are not worth keeping. */
const MIN_BYTES = 256 * 1024;
/** What is kept in all. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
const KEEP_MS = 2000;

/**
 * Memory for large bodies, used again while more of them arrive. V8 gives such memory back only with a collection of everything, which
 * holds the thread for 5 to 15 ms, and 100 MB of inserts would bring about ten of them.
 */
class BodyMemory {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** At least so many bytes, with whatever is in them. */
  take(bytes: number): Buffer {
    if (bytes < MIN_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const position = this.#kept.findIndex(({ length }) => length >= bytes);
    if (position < 0) return Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
    const [memory] = this.#kept.splice(position, 1) as [Buffer];
    this.#keptBytes -= memory.length;
    return memory;
  }

  /** Nobody may use it any more. */
  giveBack(memory: Buffer): void {
    if (memory.length < MIN_BYTES || this.#keptBytes + memory.length > MAX_KEPT_BYTES) return;
    this.#kept.push(memory);
    this.#keptBytes += memory.length;
    this.#timer ??= setTimeout(() => this.#drop(), KEEP_MS).unref();
    this.#timer.refresh();
  }

  #drop(): void {
    this.#timer = undefined;
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

export const bodyMemory = new BodyMemory();
