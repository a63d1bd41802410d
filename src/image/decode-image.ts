import type { Metadata, Sharp } from "sharp";
import { AttuneError } from "../errors/index.js";
import { FORMAT_NAMES, formatOf, type ImageFormat } from "./formats.js";
import type { ImagePixels } from "./image-pixels.js";
import { resample } from "./resample.js";
import { KERNELS, type Resampling } from "./resampling.js";
import { sharp } from "./sharp.js";
import type { Size } from "./size.js";

/** Largest image that is decoded unless another limit is given: 25 megapixels, 75 MB as RGB. */
export const DEFAULT_MAX_PIXELS = 25_000_000;

/** Below this an image is resized by our own loops, in less than a millisecond. */
const SMALL_PIXELS = 1 << 16;

/** No picture within the limits takes a thread so long; a file made to (of thousands of progressive scans, say) is given up. */
const DECODE_SECONDS = 60;

export interface ImageLimits {
  /** Width times height, at most. @default 25,000,000 */
  maxPixels?: number;
}

export interface DecodeOptions extends ImageLimits {
  /** The size wanted of an image of this size. @default the image's own */
  resizeTo?: (size: Size) => Size;
  /** @default "bilinear" */
  resampling?: Resampling;
}

/** What the header of an image file says; of the first frame. */
export interface ImageHeader extends Size {
  format: ImageFormat["name"];
  mediaType: string;
}

/**
 * Reads the header alone. Width and height are as the image is looked at: the orientation in its EXIF data is applied.
 * @throws invalid_image when the bytes are no image of a known format; image_too_large
 */
export async function inspectImage(
  bytes: Uint8Array,
  { maxPixels = DEFAULT_MAX_PIXELS }: ImageLimits = {},
): Promise<ImageHeader> {
  const format = formatOf(bytes);
  if (format === undefined) {
    throw new AttuneError(
      "invalid_image",
      `The ${bytes.length} bytes are not an image of a format that is read: ${FORMAT_NAMES}. Convert the image, or check that the file is whole.`,
    );
  }
  const { width, height } = sizeOf(await readable(() => open(bytes).metadata(), format));
  if (!(width > 0 && height > 0)) throw new AttuneError("invalid_image", `The ${format.name} image has no pixels.`);
  checkPixels(width, height, maxPixels);
  return { format: format.name, mediaType: format.mediaType, width, height };
}

/**
 * Decodes an image file as 8 bit sRGB: the first frame of an animation, upright by its EXIF orientation, colours brought to sRGB by
 * the embedded profile, transparent parts laid on white. With `resizeTo` it is resized on the way, which a JPEG makes cheap: only
 * as much of it is decoded as the smaller size needs. The work is done in other threads.
 * @throws invalid_image when the bytes are no image of a known format, or are damaged or cut short; image_too_large, which is
 * decided by the header, before anything is decoded
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<ImagePixels> {
  const { maxPixels = DEFAULT_MAX_PIXELS, resizeTo, resampling = "bilinear" } = options;
  const { width, height, format } = await inspectImage(bytes, { maxPixels });
  const target = resizeTo?.({ width, height }) ?? { width, height };
  checkPixels(target.width, target.height, maxPixels, "resized");
  const image = shrink(open(bytes).autoOrient(), { width, height }, target, resampling);
  return finish(await readable(() => rgbOf(image), { name: format }), target, resampling);
}

function open(bytes: Uint8Array): Sharp {
  // The limit is our own, asked of the header; `failOn` makes a file that is cut short an error instead of grey rows.
  return sharp(bytes, { failOn: "truncated", limitInputPixels: false, sequentialRead: true, pages: 1 });
}

/**
 * Shrinks each side that is to, in other threads; a small image (below 65,536 pixels) is left to `finish`, as are all for `nearest`,
 * which needs no means. What `finish` gives is Pillow's but for rounding; here libvips averages whole blocks of pixels before it weighs
 * them: the finest texture (noise) comes out up to 30 levels of 255 different, 4 in the mean, and what is smooth hardly at all.
 */
function shrink(image: Sharp, size: Size, target: Size, resampling: Resampling): Sharp {
  const width = Math.min(size.width, target.width);
  const height = Math.min(size.height, target.height);
  const small = size.width * size.height < SMALL_PIXELS;
  if (resampling === "nearest" || small || (width === size.width && height === size.height)) return image;
  return image.resize({ width, height, fit: "fill", kernel: KERNELS[resampling], fastShrinkOnLoad: false });
}

/** What libvips has not done: it takes longer than we to begin with a small image, and enlarged pixels it places half a pixel off. */
function finish(pixels: ImagePixels, target: Size, resampling: Resampling): ImagePixels {
  if (pixels.width === target.width && pixels.height === target.height) return pixels;
  return resample(pixels, target, resampling);
}

async function rgbOf(image: Sharp): Promise<ImagePixels> {
  const { data, info } = await image
    .flatten({ background: "#ffffff" })
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .timeout({ seconds: DECODE_SECONDS })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

function sizeOf({ width, height, autoOrient }: Metadata): Size {
  return { width: autoOrient?.width ?? width, height: autoOrient?.height ?? height };
}

function checkPixels(width: number, height: number, maxPixels: number, state = "large"): void {
  if (width * height <= maxPixels) return;
  throw new AttuneError(
    "image_too_large",
    `The image would be ${width} x ${height} pixels ${state}; at most ${maxPixels} pixels are decoded. Send it smaller.`,
  );
}

/** Runs what may fail because of the bytes. */
async function readable<Result>(work: () => Promise<Result>, format: Pick<ImageFormat, "name">): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const reason = (cause as Error).message.split("\n")[0];
    throw new AttuneError(
      "invalid_image",
      `The ${format.name} image cannot be decoded: ${reason}. Check that the file is whole.`,
      { cause },
    );
  }
}
