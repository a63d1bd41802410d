import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cropCentre, type ImagePixels, type Resampling, resizeImage, type Size } from "../../src/image/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { naiveResize, pixelsOf } from "./support/naive-resize.js";

const random = new Random(seedOf("resizing", 3));
const noise = (size: Size) => pixelsOf(size, () => random.integer(256));
const waves = (size: Size) =>
  pixelsOf(size, (x, y, channel) => 128 + 100 * Math.sin(x / 9 + channel) * Math.cos(y / 7));

/** The largest and the mean difference of two images of one size, in levels of 255. */
function difference(a: ImagePixels, b: ImagePixels): { largest: number; mean: number } {
  assert.deepEqual([a.width, a.height, a.data.length], [b.width, b.height, b.data.length]);
  const levels = [...a.data].map((level, at) => Math.abs(level - b.data[at]!));
  return { largest: Math.max(...levels), mean: levels.reduce((sum, each) => sum + each, 0) / levels.length };
}

const KERNELS: Resampling[] = ["bilinear", "bicubic", "lanczos"];
const SHRINKING: [Size, Size][] = [
  [
    { width: 300, height: 200 },
    { width: 224, height: 149 },
  ],
  [
    { width: 200, height: 300 },
    { width: 64, height: 64 },
  ],
  [
    { width: 97, height: 61 },
    { width: 30, height: 31 },
  ],
];
const GROWING: [Size, Size][] = [
  [
    { width: 28, height: 28 },
    { width: 64, height: 64 },
  ],
  [
    { width: 50, height: 40 },
    { width: 61, height: 90 },
  ],
  [
    { width: 1, height: 2 },
    { width: 7, height: 5 },
  ],
];
const MIXED: [Size, Size] = [
  { width: 90, height: 20 },
  { width: 32, height: 32 },
];
const named = ([from, to]: [Size, Size]) => `${from.width} x ${from.height} to ${to.width} x ${to.height}`;

describe("resizing", () => {
  for (const sizes of [...SHRINKING, ...GROWING, MIXED]) {
    it(`takes the nearest pixel exactly, ${named(sizes)}`, async () => {
      const image = noise(sizes[0]);
      assert.deepEqual(await resizeImage(image, sizes[1], "nearest"), naiveResize(image, sizes[1], "nearest"));
    });
  }

  for (const resampling of KERNELS) {
    for (const sizes of GROWING) {
      it(`grows by ${resampling} as plain loops do, ${named(sizes)}`, async () => {
        const image = noise(sizes[0]);
        const { largest } = difference(
          await resizeImage(image, sizes[1], resampling),
          naiveResize(image, sizes[1], resampling),
        );
        assert.ok(largest <= 1, `${largest} levels`);
      });
    }

    for (const sizes of [...SHRINKING, MIXED]) {
      it(`shrinks by ${resampling} within the stated tolerance, ${named(sizes)}`, async () => {
        const [textured, smooth] = [noise(sizes[0]), waves(sizes[0])];
        const resized = async (image: ImagePixels) =>
          difference(await resizeImage(image, sizes[1], resampling), naiveResize(image, sizes[1], resampling));
        const ofTexture = await resized(textured);
        assert.ok(ofTexture.mean < 3 && ofTexture.largest < 30, JSON.stringify(ofTexture));
        const ofWaves = await resized(smooth);
        assert.ok(ofWaves.mean < 1 && ofWaves.largest < 8, JSON.stringify(ofWaves));
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
