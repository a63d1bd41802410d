/**
 * Blurs an image by a Gaussian of the standard deviation `sigma` (pixels, above 0), cut off at three of them; beyond its edges the
 * image goes on as its edge. The Gaussian is a product of one along and one across, so lines are blurred first, then columns.
 *
 * @param data `height` lines of `width` pixels of 3 numbers
 */
export function gaussianBlur(data: Float32Array, width: number, height: number, sigma: number): Float32Array {
  const kernel = gaussianKernel(sigma);
  const radius = (kernel.length - 1) / 2;
  const stride = 3 * width;
  const along = new Float32Array(data.length);
  const padded = new Float32Array(stride + 6 * radius);
  for (let row = 0; row < height; row++) {
    padLine(padded, data.subarray(row * stride, (row + 1) * stride), radius);
    const line = along.subarray(row * stride, (row + 1) * stride);
    for (let tap = 0; tap < kernel.length; tap++) addScaled(line, padded, 3 * tap, kernel[tap] as number);
  }
  const across = new Float32Array(data.length);
  for (let row = 0; row < height; row++) {
    const line = across.subarray(row * stride, (row + 1) * stride);
    for (let tap = 0; tap < kernel.length; tap++) {
      const from = Math.min(Math.max(row + tap - radius, 0), height - 1);
      addScaled(line, along, from * stride, kernel[tap] as number);
    }
  }
  return across;
}

/** The weights at -radius, ..., radius pixels; their sum is 1. */
function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.ceil(3 * sigma);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, tap) =>
    Math.exp(-((tap - radius) ** 2) / (2 * sigma * sigma)),
  );
  const sum = kernel.reduce((total, weight) => total + weight, 0);
  return kernel.map((weight) => weight / sum);
}

/** The line with its first and last pixel repeated `radius` times. */
function padLine(padded: Float32Array, line: Float32Array, radius: number): void {
  padded.set(line, 3 * radius);
  for (let pixel = 0; pixel < radius; pixel++) {
    padded.set(line.subarray(0, 3), 3 * pixel);
    padded.set(line.subarray(line.length - 3), 3 * radius + line.length + 3 * pixel);
  }
}

function addScaled(target: Float32Array, source: Float32Array, offset: number, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + factor * (source[offset + i] as number);
}
