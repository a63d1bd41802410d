import { decodeImage, type ImagePixels, type Resampling, type Size } from "../../../src/image/index.js";
import { pngOf } from "../../encoder/support/tiny-image-encoder.js";

/** An image as it comes out of its decoding in another size. */
export async function resizeImage(image: ImagePixels, size: Size, resampling: Resampling): Promise<ImagePixels> {
  return decodeImage(await pngOf(image), { resizeTo: () => size, resampling });
}
