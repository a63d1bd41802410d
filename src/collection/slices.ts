/** What long work may take of one turn of the event loop, all of it together. */
const SLICE_MS = 1;

/**
 * Long work on the thread that speaks HTTP (reading large bodies, checking and storing many items) is done in slices: all of it
 * shares one slice in each turn of the event loop, first come first served. So a query that arrives waits for a slice, not for
 * a whole insert, nor for one slice of each of many.
 *
 *     for (const item of items) {
 *       while (slices.over) await slices.next();
 *       ...
 *     }
 */
export class Slices {
  #since: number | undefined;
  #waiting: (() => void)[] = [];

  /** Whether the slice of this turn is used up; asking begins it. Costs 0.1 us. */
  get over(): boolean {
    this.#since ??= this.#begin();
    return performance.now() - this.#since >= SLICE_MS;
  }

  /** Resolves in a later turn, in the order of the calls; those before may have used up the slice of that one too. */
  next(): Promise<void> {
    this.#since ??= this.#begin();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #begin(): number {
    setImmediate(() => {
      this.#since = undefined;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const resolve of waiting) resolve();
    });
    return performance.now();
  }
}

/** Those of this thread. */
export const slices = new Slices();
