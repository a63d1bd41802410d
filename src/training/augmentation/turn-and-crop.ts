import type { ImagePixels } from "../../image/image-pixels.js";
import type { CropWindow } from "./pixel-changes.js";

/**
 * Turns an image around its centre and stretches a window of the result over the whole image: one affine map, so that pixels are
 * interpolated (bilinear) only once. What a turn brings in from outside continues the image's edge: white stays white around a
 * drawing, and no black corners tell a model that a photograph was turned.
 *
 * @param angle degrees, clockwise
 * @returns as many numbers as the image has, 0 to 255
 */
export function turnAndCrop({ width, height, data }: ImagePixels, angle: number, window: CropWindow): Float32Array {
  const radians = (angle * Math.PI) / 180;
  const cos = Math.cos(radians);
  const sin = Math.sin(radians);
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  // Where the middle of the first pixel of the result lies, as seen from the centre; pixels are squares around whole numbers.
  const startX = (window.left + window.width / (2 * width)) * width - 0.5 - centreX;
  const startY = (window.top + window.height / (2 * height)) * height - 0.5 - centreY;
  const result = new Float32Array(data.length);
  const [lastX, lastY] = [width - 1, height - 1];
  let at = 0;
  for (let row = 0; row < height; row++) {
    const v = startY + row * window.height;
    for (let column = 0; column < width; column++) {
      const u = startX + column * window.width;
      // The result at (u, v) shows what stood there before the turn: turned back.
      const x = Math.min(Math.max(centreX + cos * u + sin * v, 0), lastX);
      const y = Math.min(Math.max(centreY - sin * u + cos * v, 0), lastY);
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const [dx, dy] = [x - x0, y - y0];
      const upper = 3 * (y0 * width + x0);
      const right = x0 < lastX ? 3 : 0;
      const lower = y0 < lastY ? upper + 3 * width : upper;
      for (let channel = 0; channel < 3; channel++) {
        const a = data[upper + channel] as number;
        const b = data[upper + right + channel] as number;
        const c = data[lower + channel] as number;
        const d = data[lower + right + channel] as number;
        const top = a + dx * (b - a);
        result[at++] = top + dy * (c + dx * (d - c) - top);
      }
    }
  }
  return result;
}
