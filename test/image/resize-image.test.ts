import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cropCentre, type ImagePixels, type Resampling, type Size } from "../../src/image/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { naiveResize, pixelsOf } from "./support/naive-resize.js";
import { resizeImage } from "./support/resize-image.js";

const random = new Random(seedOf("resizing", 3));
const noise = (size: Size) => pixelsOf(size, () => random.integer(256));
const waves = (size: Size) =>
  pixelsOf(size, (x, y, channel) => 128 + 100 * Math.sin(x / 9 + channel) * Math.cos(y / 7));

/** The largest and the mean difference of two images of one size, in levels of 255. */
function difference(a: ImagePixels, b: ImagePixels): { largest: number; mean: number } {
  assert.deepEqual([a.width, a.height, a.data.length], [b.width, b.height, b.data.length]);
  const levels = a.data.map((level, at) => Math.abs(level - b.data[at]!));
  return {
    largest: levels.reduce((most, each) => Math.max(most, each), 0),
    mean: levels.reduce((sum, each) => sum + each, 0) / levels.length,
  };
}

const KERNELS: Resampling[] = ["bilinear", "bicubic", "lanczos"];
const size = (width: number, height: number): Size => ({ width, height });
/** Of few pixels, or growing: by our own loops. */
const EXACT: [Size, Size][] = [
  [size(200, 300), size(64, 64)],
  [size(97, 61), size(30, 31)],
  [size(28, 28), size(64, 64)],
  [size(50, 40), size(61, 90)],
  [size(90, 20), size(32, 32)],
  [size(1, 2), size(7, 5)],
  [size(300, 260), size(400, 300)],
];
/** By libvips. */
const LARGE: [Size, Size][] = [
  [size(300, 280), size(224, 210)],
  [size(640, 480), size(96, 72)],
  [size(900, 80), size(64, 100)],
];
const named = ([from, to]: [Size, Size]) => `${from.width} x ${from.height} to ${to.width} x ${to.height}`;

describe("resizing", () => {
  for (const sizes of [...EXACT, ...LARGE]) {
    it(`takes the nearest pixel exactly, ${named(sizes)}`, async () => {
      const image = noise(sizes[0]);
      assert.deepEqual(await resizeImage(image, sizes[1], "nearest"), naiveResize(image, sizes[1], "nearest"));
    });
  }

  for (const resampling of KERNELS) {
    const compare = async (image: ImagePixels, to: Size) =>
      difference(await resizeImage(image, to, resampling), naiveResize(image, to, resampling));

    for (const sizes of EXACT) {
      it(`resizes by ${resampling} as plain loops do, ${named(sizes)}`, async () => {
        const { largest, mean } = await compare(noise(sizes[0]), sizes[1]);
        // A number halfway between two levels may be rounded either way, twice.
        assert.ok(largest <= 2 && mean < 0.3, `${largest} levels, ${mean} in the mean`);
      });
    }

    for (const sizes of LARGE) {
      it(`shrinks by ${resampling} within the stated tolerance, ${named(sizes)}`, async () => {
        const textured = await compare(noise(sizes[0]), sizes[1]);
        assert.ok(textured.mean < 4 && textured.largest < 30, JSON.stringify(textured));
        const smooth = await compare(waves(sizes[0]), sizes[1]);
        assert.ok(smooth.mean < 1.5 && smooth.largest < 12, JSON.stringify(smooth));
      });
    }
  }

  it("leaves an image of the size alone", async () => {
    const image = noise({ width: 9, height: 5 });
    for (const resampling of KERNELS)
      assert.deepEqual(await resizeImage(image, { width: 9, height: 5 }, resampling), image);
  });
});

describe("the centre of an image", () => {
  const image = pixelsOf({ width: 5, height: 4 }, (x, y) => 10 + 10 * y + x);
  const reds = ({ data }: ImagePixels) => [...data].filter((_, at) => at % 3 === 0);

  it("is cut out, towards the upper left where it lies between pixels", () => {
    assert.deepEqual(reds(cropCentre(image, { width: 2, height: 2 })), [21, 22, 31, 32]);
    assert.deepEqual(reds(cropCentre(image, { width: 1, height: 3 })), [12, 22, 32]);
  });

  it("lies in black where the image is smaller", () => {
    const rows = [
      [0, 0, 0, 0, 0, 0, 0],
      [0, 10, 11, 12, 13, 14, 0],
      [0, 20, 21, 22, 23, 24, 0],
      [0, 30, 31, 32, 33, 34, 0],
      [0, 40, 41, 42, 43, 44, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ];
    assert.deepEqual(reds(cropCentre(image, { width: 7, height: 6 })), rows.flat());
    assert.deepEqual(reds(cropCentre(image, { width: 7, height: 2 })), [rows[2], rows[3]].flat());
  });
});
