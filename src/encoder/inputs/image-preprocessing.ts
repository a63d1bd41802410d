import type { Resampling, Size } from "../../image/index.js";

/** One number each for red, green and blue. */
export type PerChannel = readonly [red: number, green: number, blue: number];

/**
 * How an image becomes the numbers that a model reads: resized, its centre of `size` cut out (what lies beyond its edges is
 * black), and each byte of each channel as (byte * scale - mean) / std, channel by channel: (3, height, width).
 */
export interface ImagePreprocessing {
  /** Pixels that the model reads. */
  size: Size;
  /** To exactly this size, whatever the image's shape; to this length of its shorter side; or not at all. */
  resize: Size | { shortestEdge: number } | "none";
  resampling: Resampling;
  /** Mostly 1 / 255. */
  scale: number;
  mean: PerChannel;
  /** Greater than 0. */
  std: PerChannel;
}
