import type { ImagePixels } from "../../image/image-pixels.js";
import type { Random } from "../../vector/random.js";
import type { AugmentationOptions } from "../task/options.js";
import { gaussianBlur } from "./gaussian-blur.js";
import { drawPixelChanges, type PixelChanges } from "./pixel-changes.js";
import { turnAndCrop } from "./turn-and-crop.js";

/**
 * Another view of an image, of the same size: a positive of it that nobody had to label. Such compositions of random changes are
 * studied in SimCLR (Chen et al. 2020), where the crop matters most.
 *
 * The same image, options and state of `random` give the same view. With all strengths 0 it is the image, bit for bit.
 *
 * @param options strengths; docs/augmentation.md shows what each looks like
 */
export function augmentPixels(pixels: ImagePixels, options: AugmentationOptions, random: Random): ImagePixels {
  return changePixels(pixels, drawPixelChanges(options, random));
}

/** Does the given changes to an image. Numbers are rounded once, at the end. */
export function changePixels(pixels: ImagePixels, changes: PixelChanges): ImagePixels {
  const { width, height } = pixels;
  let numbers = turnAndCrop(pixels, changes.angle, changes.window);
  if (changes.blur > 0) numbers = gaussianBlur(numbers, width, height, changes.blur);
  if (changes.brightness !== 1) brighten(numbers, changes.brightness);
  if (changes.contrast !== 1) spread(numbers, changes.contrast);
  // A clamped array rounds, and cuts off at 0 and 255.
  return { width, height, data: new Uint8Array(Uint8ClampedArray.from(numbers).buffer) };
}

/** Cut off at once: what is white is as bright as it gets, and counts so in the mean that contrast is measured from. */
function brighten(numbers: Float32Array, factor: number): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = Math.min(255, factor * (numbers[i] as number));
}

/** Multiplies the distance from the mean over all pixels and channels. */
function spread(numbers: Float32Array, factor: number): void {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i] as number;
  const mean = sum / numbers.length;
  for (let i = 0; i < numbers.length; i++) numbers[i] = mean + factor * ((numbers[i] as number) - mean);
}
