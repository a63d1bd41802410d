/** How many calls for items are under way in encoders on the CPU, where other threads see it: they want every core, and others may give way. */
export class EncodingLoad {
  /** One number, in shared memory. */
  readonly calls = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  /** Counts `work` while it is under way. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    Atomics.add(this.calls, 0, 1);
    try {
      return await work();
    } finally {
      Atomics.sub(this.calls, 0, 1);
    }
  }
}
