import { freeArray } from "../vector/index.js";

/** Numbers of a block, once there are many vectors. */
const BLOCK_NUMBERS = 1 << 16;

/** Memory for vectors that are read from bodies. They share blocks: a piece of memory for each takes longer to get and to give back. */
export class VectorBlocks {
  #block = new Float32Array(0);
  #used = 0;
  readonly #toFree: Float32Array[] = [];

  /** @param freed whether somebody will say when all vectors are done with */
  constructor(private readonly freed: boolean) {}

  /** A vector of zeros. */
  take(numbers: number): Float32Array {
    if (this.#used + numbers > this.#block.length) {
      // A body of a few vectors takes little.
      this.#block = new Float32Array(Math.max(numbers, Math.min(2 * this.#block.length, BLOCK_NUMBERS)));
      this.#used = 0;
      if (this.freed) this.#toFree.push(this.#block);
    }
    this.#used += numbers;
    return this.#block.subarray(this.#used - numbers, this.#used);
  }

  /** Gives the memory back: the vectors are empty afterwards. */
  free(): void {
    for (const block of this.#toFree.splice(0)) freeArray(block);
  }
}
