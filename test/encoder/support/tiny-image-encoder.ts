import sharp from "sharp";
import type { ImagePixels } from "../../../src/image/index.js";
import { type DataType, encodeModel, GraphBuilder, type Value } from "../../../src/onnx/index.js";
import { Random } from "../../../src/vector/index.js";
import { TINY_DIMENSIONS } from "./tiny-encoder.js";

/** Width and height of what the tiny models read. */
export const SIDE = 4;
const PLANE = SIDE * SIDE;

export interface TinyImageModel {
  bytes: Uint8Array;
  /** What the model gives for one channel of the normalised pixels. */
  patch(channel: readonly number[], at: number): number[];
}

/**
 * - `embedding`: (n, d), the sum of the patches, under any name;
 * - `patches`: (n, 3, d), where a channel is a patch, and the first stands for the class token;
 * - `plane`: (n, 3, 1, 1), the mean of each channel; `planes`: (n, 3, 4, 4), the channels themselves.
 */
export type TinyOutput = "embedding" | "patches" | "plane" | "planes";

export interface TinyImageModelOptions {
  /** Outputs by name. */
  outputs?: Record<string, TinyOutput>;
  input?: string;
  /** A second input, as no image encoder has. */
  extraInput?: string;
  dtype?: DataType;
  seed?: number;
}

/** An image encoder of one matrix product for each channel, so that what it should give is plain to compute. */
export function tinyImageModel({
  outputs = { image_embeds: "embedding" },
  input = "pixel_values",
  extraInput,
  dtype = "float32",
  seed = 5,
}: TinyImageModelOptions = {}): TinyImageModel {
  const random = new Random(seed);
  const weights = Float32Array.from({ length: 3 * PLANE * TINY_DIMENSIONS }, () => random.normal());
  const g = new GraphBuilder("tiny-image");
  const pixels = g.input(input, "float32", ["batch", 3, SIDE, SIDE]);
  const channels = g.reshape(pixels, [0, 3, 1, PLANE]);
  const table = g.initializer("weights", { dtype: "float32", shape: [3, PLANE, TINY_DIMENSIONS], data: weights });
  const patches = g.reshape(g.matMul(channels, table), [0, 3, TINY_DIMENSIONS]);
  const results: Record<TinyOutput, () => Value> = {
    embedding: () => g.reduceSum(patches, [1]),
    patches: () => patches,
    plane: () => g.reduceMean(pixels, [2, 3], true),
    planes: () => pixels,
  };
  if (extraInput !== undefined) g.output(g.identity(g.input(extraInput, "int64", ["batch"])), "extra");
  for (const [name, kind] of Object.entries(outputs)) g.output(g.identity(g.cast(results[kind](), dtype)), name);
  return {
    bytes: encodeModel(g.model()),
    patch: (channel, at) =>
      Array.from({ length: TINY_DIMENSIONS }, (_, dimension) =>
        channel.reduce(
          (sum, value, place) => sum + value * weights[(at * PLANE + place) * TINY_DIMENSIONS + dimension]!,
          0,
        ),
      ),
  };
}

/** The file of an image, lossless. */
export function pngOf({ width, height, data }: ImagePixels): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** An image of random pixels. */
export function randomImage(random: Random, width = SIDE, height = SIDE): ImagePixels {
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => random.integer(256)) };
}
