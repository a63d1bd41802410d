import { VectorWriter } from "../rows/vector-writer.js";
import { type Embed, encodeItems } from "./encode-items.js";
import type { EncoderContext } from "./encoder-context.js";

/** Writes every live item's embedding to a file of float32 rows (see `VectorWriter`), which is on disk when this resolves. */
export async function writeVectors(context: EncoderContext, path: string, embed: Embed): Promise<void> {
  const { task, labels, contents, inputs, meter, pause } = context;
  const writer = await VectorWriter.create(path, labels, task.dimensions);
  try {
    const request = {
      contents,
      items: Array.from(labels, (_, item) => item),
      dimensions: task.dimensions,
      equalLengths: inputs.equalLengths,
      embed,
      onRun: async (count: number) => {
        meter.advance(count);
        await pause();
      },
    };
    await encodeItems(request, (start, count, vectors) => writer.write(labels.subarray(start, start + count), vectors));
    await writer.finish();
  } finally {
    await writer.close();
  }
}
