import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImagePixels } from "../../src/image/image-pixels.js";
import { gaussianBlur } from "../../src/training/augmentation/gaussian-blur.js";
import {
  augmentPixels,
  changePixels,
  drawPixelChanges,
  type PixelChanges,
} from "../../src/training/augmentation/index.js";
import { AUGMENTATION_DEFAULTS, type AugmentationOptions } from "../../src/training/task/options.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

const NONE: PixelChanges = {
  angle: 0,
  window: { left: 0, top: 0, width: 1, height: 1 },
  blur: 0,
  brightness: 1,
  contrast: 1,
};
const OFF: AugmentationOptions = {
  rotation: 0,
  blur: 0,
  brightness: 0,
  contrast: 0,
  crop: 0,
  wordDropout: 0,
  spanDropout: 0,
};

function noise(width: number, height: number, seed: number, low = 0, high = 255): ImagePixels {
  const random = new Random(seed);
  return {
    width,
    height,
    data: Uint8Array.from({ length: 3 * width * height }, () => low + random.integer(high - low + 1)),
  };
}

const at = ({ width, data }: ImagePixels, column: number, row: number, channel: number) =>
  data[3 * (row * width + column) + channel]!;

/** The image whose number at each place is what `from` says of the place. */
function drawn(
  width: number,
  height: number,
  from: (column: number, row: number, channel: number) => number,
): ImagePixels {
  const data = new Uint8ClampedArray(3 * width * height);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      for (let channel = 0; channel < 3; channel++)
        data[3 * (row * width + column) + channel] = from(column, row, channel);
  return { width, height, data: new Uint8Array(data.buffer) };
}

function assertWithin(actual: ImagePixels, expected: ImagePixels, tolerance: number): void {
  assert.deepEqual(
    [actual.width, actual.height, actual.data.length],
    [expected.width, expected.height, expected.data.length],
  );
  for (let i = 0; i < actual.data.length; i++)
    assert.ok(
      Math.abs(actual.data[i]! - expected.data[i]!) <= tolerance,
      `${i}: ${actual.data[i]}, ${expected.data[i]}`,
    );
}

const mean = (numbers: ArrayLike<number>) => Array.from(numbers).reduce((sum, x) => sum + x, 0) / numbers.length;

describe("augmented pixels", () => {
  const seed = seedOf("augment-pixels", 11);

  it("are the image itself, bit for bit, where every strength is 0", () => {
    const random = new Random(seed);
    for (const [width, height] of [
      [1, 1],
      [5, 1],
      [17, 9],
      [32, 32],
      [33, 64],
    ] as const) {
      const image = noise(width, height, seed);
      assert.deepEqual(augmentPixels(image, OFF, random), image);
    }
  });

  it("are the same for the same seed, others for another, and leave the image alone", () => {
    const image = noise(24, 20, seed);
    const before = image.data.slice();
    const view = (from: number) => augmentPixels(image, AUGMENTATION_DEFAULTS, new Random(from));
    assert.deepEqual(view(1), view(1));
    assert.notDeepEqual(view(1).data, view(2).data);
    assert.deepEqual(image.data, before);
  });

  it("turned by quarters are a permutation of the pixels", () => {
    const square = noise(13, 13, seed);
    const quarter = drawn(13, 13, (column, row, channel) => at(square, row, 12 - column, channel));
    assert.deepEqual(changePixels(square, { ...NONE, angle: 90 }), quarter);
    assert.deepEqual(changePixels(quarter, { ...NONE, angle: -90 }), square);
    const oblong = noise(12, 7, seed);
    const half = drawn(12, 7, (column, row, channel) => at(oblong, 11 - column, 6 - row, channel));
    assert.deepEqual(changePixels(oblong, { ...NONE, angle: 180 }), half);
  });

  it("turned and cropped are what bilinear interpolation gives, point by point", () => {
    const random = new Random(seed);
    const image = noise(16, 11, seed);
    for (let round = 0; round < 20; round++) {
      const { angle, window } = drawPixelChanges({ ...OFF, rotation: 180, crop: 0.9 }, random);
      const radians = (angle * Math.PI) / 180;
      // A tent of width 1 around each pixel of the image, which goes on as its edge.
      const inside = (x: number, size: number) => Math.min(Math.max(x, 0), size - 1);
      const naive = drawn(16, 11, (column, row, channel) => {
        const [u, v] = [
          (window.left + ((column + 0.5) / 16) * window.width) * 16 - 8,
          (window.top + ((row + 0.5) / 11) * window.height) * 11 - 5.5,
        ];
        const x = inside(8 + u * Math.cos(-radians) - v * Math.sin(-radians) - 0.5, 16);
        const y = inside(5.5 + u * Math.sin(-radians) + v * Math.cos(-radians) - 0.5, 11);
        let sum = 0;
        for (let r = 0; r < 11; r++)
          for (let c = 0; c < 16; c++)
            sum += Math.max(0, 1 - Math.abs(x - c)) * Math.max(0, 1 - Math.abs(y - r)) * at(image, c, r, channel);
        return sum;
      });
      assertWithin(changePixels(image, { ...NONE, angle, window }), naive, 1);
    }
  });

  it("keep the paper white around a drawing however it is turned", () => {
    const drawing = drawn(28, 28, (column, row) => (Math.hypot(column - 14, row - 14) < 6 ? 0 : 255));
    const { data } = changePixels(drawing, {
      ...NONE,
      angle: 45,
      window: { left: 0.2, top: 0, width: 0.8, height: 0.8 },
    });
    for (const corner of [0, 27, 28 * 27, 28 * 28 - 1]) assert.equal(data[3 * corner], 255);
  });

  it("blurred are the convolution with a two-dimensional Gaussian", () => {
    for (const [width, height, sigma] of [
      [9, 7, 0.8],
      [6, 12, 2.5],
      [3, 2, 4],
    ] as const) {
      const image = noise(width, height, seed);
      const blurred = gaussianBlur(Float32Array.from(image.data), width, height, sigma);
      const reach = Math.ceil(3 * sigma);
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++)
          for (let channel = 0; channel < 3; channel++) {
            let [sum, weights] = [0, 0];
            for (let dy = -reach; dy <= reach; dy++)
              for (let dx = -reach; dx <= reach; dx++) {
                const weight = Math.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
                const x = Math.min(Math.max(column + dx, 0), width - 1);
                const y = Math.min(Math.max(row + dy, 0), height - 1);
                sum += weight * at(image, x, y, channel);
                weights += weight;
              }
            const actual = blurred[3 * (row * width + column) + channel]!;
            assert.ok(Math.abs(actual - sum / weights) < 1e-3, `${actual}, ${sum / weights}`);
          }
    }
  });

  it("of one colour stay so when blurred, even by next to nothing", () => {
    const grey = drawn(8, 8, (_column, _row, channel) => 90 + channel);
    for (const blur of [1e-9, 0.3, 10]) assert.deepEqual(changePixels(grey, { ...NONE, blur }), grey);
  });

  it("brightened are multiplied, up to white", () => {
    const image = noise(10, 10, seed);
    for (const brightness of [0, 0.7, 1.3, 2]) {
      const naive = drawn(10, 10, (column, row, channel) => brightness * at(image, column, row, channel));
      assertWithin(changePixels(image, { ...NONE, brightness }), naive, 1);
    }
  });

  it("of another contrast keep their mean, and their distances from it are multiplied", () => {
    const image = noise(20, 20, seed, 80, 170);
    const centre = mean(image.data);
    for (const contrast of [0, 0.5, 1.5, 1.9]) {
      const changed = changePixels(image, { ...NONE, contrast });
      assert.ok(
        Math.abs(mean(changed.data) - centre) < 0.5,
        `contrast ${contrast}: mean ${mean(changed.data)}, was ${centre}`,
      );
      assertWithin(
        changed,
        drawn(20, 20, (c, r, channel) => centre + contrast * (at(image, c, r, channel) - centre)),
        1,
      );
    }
  });
});

describe("drawn changes", () => {
  const seed = seedOf("drawn changes", 12);
  const draws = (options: AugmentationOptions, count = 20_000) => {
    const random = new Random(seed);
    return Array.from({ length: count }, () => drawPixelChanges(options, random));
  };

  /** Kolmogorov and Smirnov's largest distance from the uniform distribution is below 1.95 / sqrt(n) in 999 of 1,000 samples. */
  function assertUniform(sample: readonly number[], low: number, high: number): void {
    const sorted = sample.toSorted((a, b) => a - b);
    const distance = Math.max(...sorted.map((x, i) => Math.abs((x - low) / (high - low) - (i + 0.5) / sorted.length)));
    assert.ok(sorted[0]! >= low && sorted.at(-1)! <= high, `${sorted[0]} to ${sorted.at(-1)}`);
    assert.ok(distance < 1.95 / Math.sqrt(sorted.length), `distance ${distance}`);
  }

  it("are uniform between the limits that the options name", () => {
    const changes = draws({ ...OFF, rotation: 30, blur: 2, brightness: 0.4, contrast: 0.2, crop: 0.6 });
    assertUniform(
      changes.map(({ angle }) => angle),
      -30,
      30,
    );
    assertUniform(
      changes.map(({ blur }) => blur),
      0,
      2,
    );
    assertUniform(
      changes.map(({ brightness }) => brightness),
      0.6,
      1.4,
    );
    assertUniform(
      changes.map(({ contrast }) => contrast),
      0.8,
      1.2,
    );
    assertUniform(
      changes.map(({ window }) => window.width * window.height),
      0.4,
      1,
    );
  });

  it("crop inside the image, anywhere in it, at most a third wider or higher than it is", () => {
    const windows = draws({ ...OFF, crop: 0.9 }).map(({ window }) => window);
    for (const { left, top, width, height } of windows) {
      assert.ok(left >= 0 && top >= 0 && left + width <= 1 + 1e-12 && top + height <= 1 + 1e-12);
      assert.ok(width / height < 4 / 3 + 1e-9 && height / width < 4 / 3 + 1e-9);
    }
    const wide = windows.filter(({ width, height }) => width > height).length / windows.length;
    assert.ok(Math.abs(wide - 0.5) < 0.02, `${wide} are wider than high`);
    assertUniform(
      windows.map(({ left, width }) => left / (1 - width)),
      0,
      1,
    );
    assertUniform(
      windows.map(({ top, height }) => top / (1 - height)),
      0,
      1,
    );
  });

  it("do not depend on the strength of the others", () => {
    const all = draws({ ...OFF, rotation: 30, blur: 2, brightness: 0.4, contrast: 0.2, crop: 0.6 }, 50);
    const some = draws({ ...OFF, rotation: 30, contrast: 0.2 }, 50);
    assert.deepEqual(
      some.map(({ angle, contrast }) => [angle, contrast]),
      all.map(({ angle, contrast }) => [angle, contrast]),
    );
  });
});
