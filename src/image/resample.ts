import type { ImagePixels } from "./image-pixels.js";
import type { Resampling } from "./resampling.js";
import type { Size } from "./size.js";

const CHANNELS = 3;

/** Interpolation kernels and where they end, in old pixels where the image grows, else in new ones; as in Pillow's src/libImaging/Resample.c. */
const KERNELS: Record<Exclude<Resampling, "nearest">, { support: number; weight: (distance: number) => number }> = {
  bilinear: { support: 1, weight: (x) => 1 - x },
  // Keys (1981) with a = -1/2.
  bicubic: { support: 2, weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((2.5 - 0.5 * x) * x - 4) * x + 2) },
  lanczos: { support: 3, weight: (x) => sinc(x) * sinc(x / 3) },
};

/** For each new place: the first old place it is made of, and the weight of that one and those after it (sum 1). */
interface Taps {
  first: number;
  weights: Float64Array;
}

/**
 * Resizes as Pillow does, on this thread: every new pixel is a weighted mean of old ones around its centre, at the edges of those
 * that are there; rows first, rounded to bytes, then columns. Takes about 10 ns for each old byte.
 */
export function resample(image: ImagePixels, size: Size, resampling: Resampling): ImagePixels {
  const across = tapsOf(image.width, size.width, resampling);
  const down = tapsOf(image.height, size.height, resampling);
  const rows = new Uint8ClampedArray(size.width * image.height * CHANNELS);
  for (let y = 0; y < image.height; y++) {
    weigh(image.data.subarray(y * image.width * CHANNELS), CHANNELS, across, rows, y * size.width * CHANNELS, CHANNELS);
  }
  const data = new Uint8ClampedArray(size.width * size.height * CHANNELS);
  const line = size.width * CHANNELS;
  for (let x = 0; x < size.width; x++) weigh(rows.subarray(x * CHANNELS), line, down, data, x * CHANNELS, line);
  return { ...size, data: new Uint8Array(data.buffer) };
}

/** One row or column: pixels of `from` that are `step` apart become pixels of `to` that are `stride` apart. */
function weigh(
  from: Uint8Array | Uint8ClampedArray,
  step: number,
  taps: readonly Taps[],
  to: Uint8ClampedArray,
  start: number,
  stride: number,
): void {
  for (const [place, { first, weights }] of taps.entries()) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      let sum = 0;
      for (let at = 0; at < weights.length; at++)
        sum += (weights[at] ?? 0) * (from[(first + at) * step + channel] ?? 0);
      to[start + place * stride + channel] = sum;
    }
  }
}

function tapsOf(from: number, to: number, resampling: Resampling): Taps[] {
  return Array.from({ length: to }, (_, place) => {
    const centre = ((place + 0.5) * from) / to;
    if (resampling === "nearest") return { first: Math.floor(centre), weights: Float64Array.of(1) };
    const { support, weight } = KERNELS[resampling];
    const width = Math.max(1, from / to);
    const first = Math.max(0, Math.floor(centre - support * width + 0.5));
    const end = Math.min(from, Math.floor(centre + support * width + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, at) =>
      weight(Math.abs(first + at + 0.5 - centre) / width),
    );
    const total = weights.reduce((sum, each) => sum + each, 0);
    return { first, weights: weights.map((each) => each / total) };
  });
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
