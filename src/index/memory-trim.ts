import { hasNativeSearch, hnswlib } from "./hnswlib.js";

/** After less work there is little to give back: some 2,000 rows of 512 numbers. */
const WORTHWHILE_MS = 1000;
/** When nothing was built for so long, a burst of writes is over, and what was kept of it (`KeptMemory`) is free. */
const REST_MS = 4000;

/**
 * Gives memory that a burst of writes has left behind back to the system. malloc keeps what was freed, in pieces between others that are still in use: a
 * quarter of what 100,000 x 512 take, after they were sent over HTTP.
 */
export class MemoryTrim {
  #workedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param trim @default what this build of hnswlib-node offers, if it does */
  constructor(private readonly trim = hasNativeSearch(hnswlib) ? hnswlib.trimMemory : undefined) {}

  /** Rows were built in for so long. */
  worked(milliseconds: number): void {
    this.stop();
    this.#workedMs += milliseconds;
  }

  /** There is nothing to do for now. */
  rests(): void {
    if (this.trim === undefined || this.#workedMs < WORTHWHILE_MS || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.stop();
      this.#workedMs = 0;
      this.trim?.();
    }, REST_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
