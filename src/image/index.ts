export { cropCentre } from "./crop-centre.js";
export {
  DEFAULT_MAX_PIXELS,
  type DecodeOptions,
  decodeImage,
  type ImageHeader,
  type ImageLimits,
  inspectImage,
} from "./decode-image.js";
export { FORMAT_NAMES, formatOf, type ImageFormat } from "./formats.js";
export type { ImagePixels } from "./image-pixels.js";
export type { Resampling } from "./resampling.js";
export type { Size } from "./size.js";
