import type { ImagePixels, Resampling, Size } from "../../../src/image/index.js";

/** Kernels and their supports as Pillow defines them (src/libImaging/Resample.c). */
const KERNELS: Record<Exclude<Resampling, "nearest">, { support: number; weight: (x: number) => number }> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow's resizing in plain loops: the kernel is widened where the image shrinks; rows first, rounded to bytes, then columns. */
export function naiveResize(image: ImagePixels, size: Size, resampling: Resampling): ImagePixels {
  const across = taps(image.width, size.width, resampling);
  const down = taps(image.height, size.height, resampling);
  const wide = pixelsOf({ width: size.width, height: image.height }, (x, y, channel) =>
    total(across[x]!.map(([place, weight]) => weight * image.data[(y * image.width + place) * 3 + channel]!)),
  );
  return pixelsOf(size, (x, y, channel) =>
    total(down[y]!.map(([place, weight]) => weight * wide.data[(place * size.width + x) * 3 + channel]!)),
  );
}

/** An image whose bytes are computed one by one; rounded, and limited to 0..255. */
export function pixelsOf(size: Size, byte: (x: number, y: number, channel: number) => number): ImagePixels {
  const data = new Uint8Array(size.width * size.height * 3);
  for (let at = 0; at < data.length; at++) {
    const pixel = Math.floor(at / 3);
    const value = byte(pixel % size.width, Math.floor(pixel / size.width), at % 3);
    data[at] = Math.min(255, Math.max(0, Math.round(value)));
  }
  return { ...size, data };
}

function total(numbers: number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

/** For each new place the old places it is made of, and their weights. */
function taps(from: number, to: number, resampling: Resampling): [place: number, weight: number][][] {
  const scale = from / to;
  return Array.from({ length: to }, (_, at) => {
    const centre = (at + 0.5) * scale;
    if (resampling === "nearest") return [[Math.floor(centre), 1]];
    const { support, weight } = KERNELS[resampling];
    const width = Math.max(1, scale);
    const places = Array.from({ length: from }, (_, place) => place).filter(
      (place) => Math.abs(place + 0.5 - centre) < support * width,
    );
    const weights = places.map((place) => weight((place + 0.5 - centre) / width));
    return places.map((place, index) => [place, weights[index]! / total(weights)]);
  });
}

function cubic(x: number, a: number): number {
  if (x < 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  if (x < 2) return a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
