/**
 * A seeded pseudo-random generator (sfc32 by Chris Doty-Humphrey, from PractRand): the same seed gives the same
 * numbers on every machine. Not for secrets.
 */
export class Random {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | undefined;

  /** @param seed an integer; its low 53 bits count */
  constructor(seed: number) {
    this.seed = seed;
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) | 0;
    this.#c = 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** An integer of 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number of [0, 1), with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67_108_864 + (this.uint32() >>> 6)) / 9_007_199_254_740_992;
  }

  /** An integer of 0 to n - 1, each as likely; n is 1 to 2^32. */
  integer(n: number): number {
    // Quotients of such numbers round to no other whole number; % of numbers beyond 2^31 takes four times as long.
    const limit = n * Math.floor(0x1_0000_0000 / n);
    for (;;) {
      const x = this.uint32();
      if (x < limit) return x - n * Math.floor(x / n);
    }
  }

  /** A number of the standard normal distribution (Marsaglia's polar method). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const square = x * x + y * y;
      if (square === 0 || square >= 1) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spare = y * factor;
      return x * factor;
    }
  }

  /** Shuffles an array in place (Fisher-Yates) and returns it. */
  shuffle<T extends { length: number; [index: number]: unknown }>(array: T): T {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = array[i];
      (array as Record<number, unknown>)[i] = array[j];
      (array as Record<number, unknown>)[j] = held;
    }
    return array;
  }
}
