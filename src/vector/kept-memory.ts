import { freeArray } from "./free-array.js";

/** Smaller pieces are not worth keeping. */
const MIN_BYTES = 256 * 1024;
/** What is kept in all. */
const MAX_KEPT_BYTES = 48 * 1024 * 1024;
const KEEP_MS = 2000;

/** New pieces are a little larger than asked for, so that wants of nearly the same size can use each other's. */
const ROOM = 1 / 8;
/** Of which the room is a multiple. */
const ROOM_STEP = 4096;
/** A piece that is so many times as large as what is wanted waits for a larger want. */
const MOST_TIMES = 2;

/**
 * Memory for large arrays, used again while more of them come. Memory of the system is slow when it is written to for the first time: a MiB takes 2 to 3 ms on a
 * virtual machine whose host has to find it first.
 */
export class KeptMemory {
  #kept: ArrayBuffer[] = [];
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Room for so many bytes at least, with whatever is in it. */
  takeBytes(count: number): Buffer<ArrayBuffer> {
    return Buffer.from(this.#take(count));
  }

  /** Room for so many numbers, with whatever is in it. */
  takeFloats(count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#take(count * Float32Array.BYTES_PER_ELEMENT), 0, count);
  }

  /** Takes an array back that it gave: nobody may use it any more, and all views of its memory are empty afterwards. */
  giveBack({ buffer: memory }: Buffer<ArrayBuffer> | Float32Array<ArrayBuffer>): void {
    if (memory.byteLength < MIN_BYTES || this.#keptBytes + memory.byteLength > MAX_KEPT_BYTES) {
      freeArray(new Uint8Array(memory));
      return;
    }
    const same = structuredClone(memory, { transfer: [memory] });
    this.#kept.push(same);
    this.#keptBytes += same.byteLength;
    this.#timer ??= setTimeout(() => this.#drop(), KEEP_MS).unref();
    this.#timer.refresh();
  }

  #take(bytes: number): ArrayBuffer {
    if (bytes < MIN_BYTES) return fresh(bytes);
    const fits = ({ byteLength }: ArrayBuffer) => byteLength >= bytes && byteLength <= MOST_TIMES * bytes;
    const position = this.#kept.findIndex(fits);
    if (position < 0) return fresh(bytes + ROOM_STEP * Math.ceil((bytes * ROOM) / ROOM_STEP));
    const [memory] = this.#kept.splice(position, 1) as [ArrayBuffer];
    this.#keptBytes -= memory.byteLength;
    return memory;
  }

  #drop(): void {
    this.#timer = undefined;
    for (const memory of this.#kept) freeArray(new Uint8Array(memory));
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

function fresh(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

/** That of this thread. */
export const keptMemory = new KeptMemory();
