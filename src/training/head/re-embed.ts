import { AttuneError } from "../../errors/index.js";
import { openSession, type ProviderChoice } from "../../runtime/index.js";
import { freeArray } from "../../vector/free-array.js";
import { allFinite } from "../../vector/maths.js";
import { floats, tensor } from "../engines/engine.js";
import { LiveRows, type RowFile } from "../rows/row-files.js";
import { VectorWriter } from "../rows/vector-writer.js";

/** Rows that go through the runtime at once. */
export const BLOCK_ROWS = 1_024;

export interface ReEmbedRequest {
  /** The head as ONNX: `base` (n, d) to `vector` (n, d). */
  head: Uint8Array;
  dimensions: number;
  rows: RowFile;
  labels: Uint32Array;
  /** File to write to: see `createVectorFile`. */
  path: string;
  provider: ProviderChoice;
  threads: number;
  /** Called, and awaited, after each block. */
  onBlock: (rows: number) => Promise<void>;
}

/**
 * Writes the vectors of items to a file of float32 rows (see `VectorWriter`); they are on disk when this resolves. While a block is
 * multiplied, the next one is read and the one before is written.
 * @throws fine_tune_failed when a number is infinite or none
 */
export async function reEmbed(request: ReEmbedRequest): Promise<void> {
  const { head, dimensions, labels, provider, threads } = request;
  const session = await openSession(head, { provider, threads });
  const live = new LiveRows(request.rows, labels);
  const read = (start: number) => live.readAhead(start, Math.min(BLOCK_ROWS, labels.length - start), dimensions);
  const writer = await VectorWriter.open(request.path, dimensions);
  let ahead: Promise<Float32Array> | undefined = labels.length === 0 ? undefined : read(0);
  try {
    for (let start = 0; ahead !== undefined; start += BLOCK_ROWS) {
      const base = await ahead;
      const count = base.length / dimensions;
      ahead = start + count < labels.length ? read(start + count) : undefined;
      const vectors = floats(await session.run({ base: tensor(base, [count, dimensions]) }), "vector");
      freeArray(base);
      if (!allFinite(vectors)) throw notFinite();
      await writer.write(labels.subarray(start, start + count), vectors);
      await request.onBlock(count);
    }
    await writer.finish();
  } finally {
    await ahead?.catch(() => {});
    await writer.close();
    await session.close();
  }
}

function notFinite(): AttuneError {
  return new AttuneError(
    "fine_tune_failed",
    "The trained head gives vectors that are not finite; try a smaller learningRate or margin",
  );
}
