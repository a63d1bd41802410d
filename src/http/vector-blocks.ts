import type { FastifyInstance } from "fastify";
import { keptMemory, viewFloat32 } from "../vector/index.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Memory of the vectors of the body, where it is given back with the answer. */
    vectorBlocks: VectorBlocks | undefined;
  }
}

/** Numbers of a block, once there are many vectors. */
const BLOCK_NUMBERS = 1 << 16;

/** Memory for vectors that are read from bodies. They share blocks: a piece of memory for each takes longer to get and to give back. */
export class VectorBlocks {
  #block = new Float32Array(0);
  #used = 0;
  readonly #toGiveBack: Float32Array<ArrayBuffer>[] = [];

  /** @param freed whether somebody will say when all vectors are done with */
  constructor(private readonly freed: boolean) {}

  /** A vector, with whatever is in it. */
  take(numbers: number): Float32Array {
    if (this.#used + numbers > this.#block.length) {
      // A body of a few vectors takes little.
      this.#block = this.#newBlock(Math.max(numbers, Math.min(2 * this.#block.length, BLOCK_NUMBERS)));
      this.#used = 0;
    }
    this.#used += numbers;
    return this.#block.subarray(this.#used - numbers, this.#used);
  }

  /** The numbers of little-endian float32 bytes. */
  takeCopy(bytes: Uint8Array): Float32Array {
    const { buffer, byteOffset, byteLength } = this.take(bytes.length / 4);
    const copy = new Uint8Array(buffer, byteOffset, byteLength);
    copy.set(bytes);
    return viewFloat32(copy);
  }

  /** Gives the memory back: the vectors are empty afterwards. */
  free(): void {
    for (const block of this.#toGiveBack.splice(0)) keptMemory.giveBack(block);
  }

  #newBlock(numbers: number): Float32Array<ArrayBuffer> {
    if (!this.freed) return new Float32Array(numbers);
    const block = keptMemory.takeFloats(numbers);
    this.#toGiveBack.push(block);
    return block;
  }
}

/** Frees the vectors of each body once the handler has ended, on the routes of `app`: nobody may keep them. */
export function freeVectorBlocks(app: FastifyInstance): void {
  app.decorateRequest("vectorBlocks", undefined);
  app.addHook("onSend", (request, _reply, _payload, done) => {
    request.vectorBlocks?.free();
    done();
  });
}
