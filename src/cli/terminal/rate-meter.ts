interface Sample {
  at: number;
  count: number;
}

const WINDOW_MS = 10_000;

/** Units a second over the last ten seconds, so that a slow start does not weigh on the time left. */
export class RateMeter {
  readonly #now: () => number;
  #samples: Sample[];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#samples = [{ at: now(), count: 0 }];
  }

  /** Notes the total so far. */
  record(count: number): void {
    const at = this.#now();
    const recent = this.#samples.filter((sample) => at - sample.at <= WINDOW_MS);
    // One sample older than the window stays, so that slow work still has two points.
    this.#samples = [...(recent.length === 0 ? this.#samples.slice(-1) : recent), { at, count }];
  }

  /** Undefined until two samples lie apart in time. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at <= first.at) return undefined;
    return ((last.count - first.count) * 1000) / (last.at - first.at);
  }

  /** Milliseconds for what remains at the present rate. */
  etaMs(remaining: number): number | undefined {
    const rate = this.perSecond;
    return rate === undefined || rate <= 0 ? undefined : (remaining / rate) * 1000;
  }
}
