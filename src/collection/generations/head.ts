import { openWorkerSession, type Tensor, type WorkerSession } from "../../runtime/index.js";

/** Rows of calls that are merged into one run; a block of a re-embedding is larger and runs alone. */
const MERGED_ROWS = 256;

interface Waiting {
  rows: Float32Array;
  resolve(vectors: Float32Array): void;
  reject(error: unknown): void;
}

/** The projection head of a generation, run in a worker thread. Calls that arrive while one runs are merged: one product for all. */
export class Head {
  private waiting: Waiting[] = [];
  private running = false;

  private constructor(
    private readonly session: WorkerSession,
    readonly dimensions: number,
  ) {}

  static async open(path: string, dimensions: number, threads: number): Promise<Head> {
    // A head is one small matrix product a query: moving rows to an accelerator and back costs more than it.
    return new Head(await openWorkerSession(path, { provider: "cpu", threads }), dimensions);
  }

  /** Base rows (n x dimensions) to vectors of the generation (n x dimensions), not normalised. */
  apply(rows: Float32Array): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ rows, resolve, reject });
      if (!this.running) void this.runWaiting();
    });
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  private async runWaiting(): Promise<void> {
    this.running = true;
    while (this.waiting.length > 0) {
      const batch = this.takeBatch();
      try {
        const vectors = await this.run(batch);
        let start = 0;
        for (const { rows, resolve } of batch) {
          // A copy of one's own of what others share.
          resolve(batch.length === 1 ? vectors : vectors.slice(start, start + rows.length));
          start += rows.length;
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.running = false;
  }

  private takeBatch(): Waiting[] {
    let count = 0;
    let rows = 0;
    for (const waiting of this.waiting) {
      rows += waiting.rows.length / this.dimensions;
      if (count > 0 && rows > MERGED_ROWS) break;
      count++;
    }
    return this.waiting.splice(0, count);
  }

  private async run(batch: readonly Waiting[]): Promise<Float32Array> {
    const data = new Float32Array(batch.reduce((sum, { rows }) => sum + rows.length, 0));
    let start = 0;
    for (const { rows } of batch) {
      data.set(rows, start);
      start += rows.length;
    }
    const base: Tensor = { dtype: "float32", shape: [data.length / this.dimensions, this.dimensions], data };
    const { vector } = await this.session.run({ base }, { transfer: true });
    if (!(vector?.data instanceof Float32Array)) {
      throw new Error("the head has no float32 output named vector");
    }
    return vector.data;
  }
}
