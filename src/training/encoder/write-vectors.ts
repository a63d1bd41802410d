import { closeSync, fsyncSync, ftruncateSync, openSync } from "node:fs";
import { writeRows } from "../head/re-embed.js";
import { type Embed, encodeItems } from "./encode-items.js";
import type { EncoderContext } from "./encoder-context.js";

/**
 * Writes every live item's embedding to a file of float32 rows, row number = label; rows of labels that are not live are zero (a hole in
 * the file). The file is on disk when this resolves.
 */
export async function writeVectors(context: EncoderContext, path: string, embed: Embed): Promise<void> {
  const { task, labels, contents, inputs, meter, pause } = context;
  const descriptor = openSync(path, "w");
  try {
    const largest = labels.reduce((most, label) => Math.max(most, label), -1);
    ftruncateSync(descriptor, (largest + 1) * task.dimensions * 4);
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
    await encodeItems(request, (start, count, vectors) => {
      writeRows(descriptor, labels.subarray(start, start + count), vectors, task.dimensions);
    });
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
