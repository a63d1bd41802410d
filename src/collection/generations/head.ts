import { openWorkerSession, type Tensor, type WorkerSession } from "../../runtime/index.js";

/** The projection head of a generation, run in a worker thread. */
export class Head {
  private constructor(
    private readonly session: WorkerSession,
    readonly dimensions: number,
  ) {}

  static async open(path: string, dimensions: number, threads: number): Promise<Head> {
    // A head is one small matrix product a query: moving rows to an accelerator and back costs more than it.
    return new Head(await openWorkerSession(path, { provider: "cpu", threads }), dimensions);
  }

  /** Base rows (n x dimensions) to vectors of the generation (n x dimensions), not normalised. */
  async apply(rows: Float32Array): Promise<Float32Array> {
    const count = rows.length / this.dimensions;
    const base: Tensor = { dtype: "float32", shape: [count, this.dimensions], data: new Float32Array(rows) };
    const { vector } = await this.session.run({ base });
    if (!(vector?.data instanceof Float32Array)) {
      throw new Error("the head has no float32 output named vector");
    }
    return vector.data;
  }

  close(): Promise<void> {
    return this.session.close();
  }
}
