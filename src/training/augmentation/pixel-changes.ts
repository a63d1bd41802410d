import type { Random } from "../../vector/random.js";
import type { AugmentationOptions } from "../task/options.js";

/** What is done to one image, in this order: turned and cropped, blurred, brightened, given more or less contrast. */
export interface PixelChanges {
  /** Degrees, clockwise as one looks at the image. */
  readonly angle: number;
  /** The window that is kept and stretched over the whole image, in shares of its width and height, from the top left. */
  readonly window: CropWindow;
  /** Standard deviation of the Gaussian blur, in pixels. */
  readonly blur: number;
  /** What every number is multiplied by. */
  readonly brightness: number;
  /** What every number's distance from the image's mean is multiplied by. */
  readonly contrast: number;
}

export interface CropWindow {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Crops are at most this much wider or higher than the image itself is, as in the random resized crop of Szegedy et al. 2015. */
const MOST_STRETCH = 4 / 3;

/**
 * Draws the changes to one image. Every strength of 0 gives the change that leaves an image as it is, and switching one off leaves
 * what is drawn for the others as it was.
 */
export function drawPixelChanges(options: AugmentationOptions, random: Random): PixelChanges {
  const around = (centre: number, strength: number) => centre + strength * (2 * random.uniform() - 1);
  return {
    angle: around(0, options.rotation),
    window: drawWindow(1 - options.crop, random),
    blur: options.blur * random.uniform(),
    brightness: around(1, options.brightness),
    contrast: around(1, options.contrast),
  };
}

/** An area of `least` to 1, each as likely, and of a shape as wild as fits into the image; anywhere in it. */
function drawWindow(least: number, random: Random): CropWindow {
  const area = least + (1 - least) * random.uniform();
  const stretch = Math.min(MOST_STRETCH, 1 / area) ** (2 * random.uniform() - 1);
  // Rounding may give a side of 1 + 1e-16.
  const width = Math.min(1, Math.sqrt(area * stretch));
  const height = Math.min(1, Math.sqrt(area / stretch));
  return { left: (1 - width) * random.uniform(), top: (1 - height) * random.uniform(), width, height };
}
