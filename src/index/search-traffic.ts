/** Places in the shared counters. */
const UNANSWERED = 0;
const ANNOUNCED = 1;

/**
 * Counters that an index and its thread share, so that each knows what the other is at without a message: an idle thread is asked at once, and
 * one that works is asked for all that has come together meanwhile.
 */
export class SearchTraffic {
  /** To be given to the other thread. */
  readonly counters: Int32Array;

  constructor(counters: Int32Array = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))) {
    this.counters = counters;
  }

  /** Searches called and not answered yet. */
  get unanswered(): number {
    return Atomics.load(this.counters, UNANSWERED);
  }

  called(): void {
    Atomics.add(this.counters, UNANSWERED, 1);
  }

  answered(): void {
    Atomics.sub(this.counters, UNANSWERED, 1);
  }

  /** True when no hits are on their way to the index; then the caller sends some. */
  announce(): boolean {
    return Atomics.exchange(this.counters, ANNOUNCED, 1) === 0;
  }

  /** The index takes in what has come. */
  received(): void {
    Atomics.store(this.counters, ANNOUNCED, 0);
  }
}
