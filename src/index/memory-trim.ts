import { hasNativeFunctions, hnswlib } from "../native/index.js";

/** After fewer bytes of rows there is little to give back. */
const WORTHWHILE_BYTES = 4 * 1024 * 1024;
/** When no rows came for so long, a burst of writes is over, and what was kept of it (`KeptMemory`) is free. */
const REST_MS = 4000;

/**
 * Gives memory that a burst of writes has left behind back to the system. malloc keeps what was freed, in pieces between others that are still in use: a
 * quarter of what 100,000 x 512 take, after they were sent over HTTP.
 */
export class MemoryTrim {
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param trim @default what this build of hnswlib-node offers, if it does */
  constructor(private readonly trim = hasNativeFunctions(hnswlib) ? hnswlib.trimMemory : undefined) {}

  /** So many bytes of rows came into the graph. */
  came(bytes: number): void {
    this.stop();
    this.#bytes += bytes;
  }

  /** There is nothing to do for now. */
  rests(): void {
    if (this.trim === undefined || this.#bytes < WORTHWHILE_BYTES || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.stop();
      this.#bytes = 0;
      this.trim?.();
    }, REST_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
