import type { ImagePixels } from "./image-pixels.js";
import type { Size } from "./size.js";

const CHANNELS = 3;

/** The centre of an image, of exactly `size`; where the image is smaller, black lies around it. */
export function cropCentre(image: ImagePixels, { width, height }: Size): ImagePixels {
  if (image.width === width && image.height === height) return image;
  const data = new Uint8Array(width * height * CHANNELS);
  const left = Math.floor((image.width - width) / 2);
  const top = Math.floor((image.height - height) / 2);
  const from = Math.max(0, left);
  const count = Math.min(image.width, left + width) - from;
  for (let y = Math.max(0, -top); y < height && y + top < image.height; y++) {
    const source = ((y + top) * image.width + from) * CHANNELS;
    data.set(image.data.subarray(source, source + count * CHANNELS), (y * width + from - left) * CHANNELS);
  }
  return { width, height, data };
}
