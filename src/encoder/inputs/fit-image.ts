import { cropCentre, decodeImage, type ImagePixels, type Size } from "../../image/index.js";
import type { ImagePreprocessing } from "./image-preprocessing.js";

/**
 * Decodes an image file and brings it to the size that a model reads.
 * @throws invalid_image, image_too_large
 */
export async function pixelsForModel(
  bytes: Uint8Array,
  { size, resize, resampling }: ImagePreprocessing,
  maxPixels?: number,
): Promise<ImagePixels> {
  const resizeTo = (original: Size) => resizedSize(original, resize);
  return cropCentre(await decodeImage(bytes, { maxPixels, resizeTo, resampling }), size);
}

/** The size an image gets before its centre is cut out; the longer side is rounded down, as the reference implementations do. */
export function resizedSize(original: Size, resize: ImagePreprocessing["resize"]): Size {
  if (resize === "none") return original;
  if ("width" in resize) return resize;
  const { width, height } = original;
  const { shortestEdge } = resize;
  if (width <= height) return { width: shortestEdge, height: Math.floor((shortestEdge * height) / width) };
  return { width: Math.floor((shortestEdge * width) / height), height: shortestEdge };
}
