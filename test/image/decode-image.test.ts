import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { decodeImage, type ImagePixels, inspectImage } from "../../src/image/index.js";
import { naiveResize, pixelsOf } from "./support/naive-resize.js";

const WIDTH = 12;
const HEIGHT = 8;
const original = pixelsOf({ width: WIDTH, height: HEIGHT }, (x, y, channel) => [20 * x, 30 * y, 100][channel]!);

function drawn({ width, height, data } = original): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function assertNear(actual: ImagePixels, expected: ImagePixels, levels: number): void {
  assert.deepEqual([actual.width, actual.height], [expected.width, expected.height]);
  for (const [at, level] of expected.data.entries()) {
    assert.ok(Math.abs(actual.data[at]! - level) <= levels, `byte ${at}: ${actual.data[at]}, expected ${level}`);
  }
}

/** A square PNG of 1 bit a pixel. */
function blackPng(side: number): Uint8Array {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    return Buffer.concat([uint32(data.length), body, uint32(crc32(body))]);
  };
  const header = Buffer.concat([uint32(side), uint32(side), Uint8Array.of(1, 0, 0, 0, 0)]);
  const rows = deflateSync(new Uint8Array(side * (1 + side / 8)));
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", new Uint8Array(0))]);
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const FORMATS = ["jpeg", "png", "webp", "gif", "avif", "tiff"] as const;
const files: Record<string, Uint8Array> = {};
before(async () => {
  const full = { quality: 100, chromaSubsampling: "4:4:4" };
  files.jpeg = await drawn().jpeg(full).toBuffer();
  files.png = await drawn().png().toBuffer();
  files.webp = await drawn().webp({ lossless: true }).toBuffer();
  files.gif = await drawn().gif().toBuffer();
  files.avif = await drawn().avif({ lossless: true }).toBuffer();
  files.tiff = await drawn().tiff({ compression: "lzw" }).toBuffer();
});

describe("decoding an image", () => {
  for (const format of FORMATS) {
    it(`reads ${format}`, async () => {
      assertNear(await decodeImage(files[format]!), original, format === "jpeg" ? 4 : 0);
      assert.deepEqual(await inspectImage(files[format]!), {
        format,
        mediaType: `image/${format}`,
        width: WIDTH,
        height: HEIGHT,
      });
    });
  }

  it("gives 8 bit sRGB for 16 bits, grey, a palette, Lab and wide gamuts", async () => {
    const grey = pixelsOf(original, (x) => 20 * x);
    assertNear(await decodeImage(await drawn().toColourspace("rgb16").png().toBuffer()), original, 1);
    assertNear(await decodeImage(await drawn(grey).toColourspace("b-w").png().toBuffer()), grey, 0);
    assertNear(await decodeImage(await drawn(grey).toColourspace("grey16").png().toBuffer()), grey, 1);
    assertNear(await decodeImage(await drawn().png({ palette: true }).toBuffer()), original, 1);
    assertNear(
      await decodeImage(await drawn().toColourspace("lab").tiff({ compression: "none" }).toBuffer()),
      original,
      2,
    );
    // The numbers in the file differ by much; what they look like does not.
    const wide = await drawn().withIccProfile("p3").png().toBuffer();
    const stored = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
    assert.ok(stored.some((level, at) => Math.abs(level - original.data[at]!) > 10));
    assertNear(await decodeImage(wide), original, 2);
  });

  it("gives sRGB for CMYK", async () => {
    const pale = pixelsOf(original, (x, y) => 120 + 4 * x + 5 * y);
    const cmyk = await drawn(pale).toColourspace("cmyk").jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer();
    assert.equal((await sharp(cmyk).metadata()).space, "cmyk");
    assertNear(await decodeImage(cmyk), pale, 16);
  });

  it("lays transparent parts on white", async () => {
    const rgba = Uint8Array.of(255, 0, 0, 255, 255, 0, 0, 128, 0, 0, 255, 0);
    const file = await sharp(rgba, { raw: { width: 3, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    const onWhite = pixelsOf({ width: 3, height: 1 }, (x, _y, channel) => (channel === 0 ? 255 : [0, 127, 255][x]!));
    assertNear(await decodeImage(file), onWhite, 0);
  });

  it("turns an image upright by its EXIF orientation, and so states its size", async () => {
    const file = await drawn().png().withMetadata({ orientation: 6 }).toBuffer();
    // Orientation 6: the top of the picture is on the right of the file.
    const upright = pixelsOf({ width: HEIGHT, height: WIDTH }, (x, y, channel) => {
      return original.data[((HEIGHT - 1 - x) * WIDTH + y) * 3 + channel]!;
    });
    assertNear(await decodeImage(file), upright, 0);
    const { width, height } = await inspectImage(file);
    assert.deepEqual([width, height], [HEIGHT, WIDTH]);
    const resizeTo = ({ width, height }: { width: number; height: number }) => ({
      width: width / 2,
      height: height / 2,
    });
    const half = await decodeImage(file, { resizeTo });
    assert.deepEqual([half.width, half.height], [HEIGHT / 2, WIDTH / 2]);
  });

  for (const format of ["gif", "webp"] as const) {
    it(`reads the first frame of an animated ${format}, whatever the number of frames`, async () => {
      const frames = Uint8Array.from({ length: 3 * 4 * 4 * 3 }, (_, at) => 80 * Math.floor(at / 48));
      const raw = { width: 4, height: 12, channels: 3, pageHeight: 4 } as const;
      const file = await sharp(frames, { raw }).toFormat(format, { lossless: true }).toBuffer();
      assert.equal((await sharp(file).metadata()).pages, 3);
      assertNear(
        await decodeImage(file, { maxPixels: 16 }),
        pixelsOf({ width: 4, height: 4 }, () => 0),
        0,
      );
    });
  }

  it("resizes on the way as resizing afterwards would", async () => {
    const large = pixelsOf(
      { width: 640, height: 480 },
      (x, y, channel) => 128 + 100 * Math.sin(x / 40 + y / 30 + channel),
    );
    const small = { width: 80, height: 60 };
    const expected = naiveResize(large, small, "bicubic");
    for (const format of ["jpeg", "png"] as const) {
      const file = await drawn(large).toFormat(format, { quality: 95 }).toBuffer();
      assertNear(await decodeImage(file, { resizeTo: () => small, resampling: "bicubic" }), expected, 5);
    }
  });
});

describe("an image that is refused", () => {
  const invalid = { code: "invalid_image" };

  for (const format of FORMATS) {
    it(`is one whose ${format} is cut short or damaged`, async () => {
      const whole = files[format]!;
      for (const share of [0.1, 0.3, 0.6]) {
        await assert.rejects(decodeImage(whole.subarray(0, Math.floor(whole.length * share))), invalid, `${share}`);
      }
      const damaged = Uint8Array.from(whole, (byte, at) => (at < 16 ? byte : 255 - byte));
      await assert.rejects(decodeImage(damaged), invalid);
    });
  }

  it("is one whose rows are missing, though its header is whole", async () => {
    const rows = pixelsOf({ width: 200, height: 200 }, (x, y, channel) => (x * 7 + y * 13 + channel * 31) % 256);
    for (const format of ["jpeg", "png"] as const) {
      const file = await drawn(rows).toFormat(format).toBuffer();
      const cut = file.subarray(0, Math.floor(file.length * 0.7));
      assert.equal((await inspectImage(cut)).width, 200);
      await assert.rejects(decodeImage(cut), invalid, format);
    }
  });

  const notImages: [string, Uint8Array][] = [
    ["nothing", new Uint8Array(0)],
    ["a text", new TextEncoder().encode("hello")],
    ["an SVG", new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    ["a BMP", Uint8Array.from([0x42, 0x4d, 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0])],
    ["an SVG behind the first bytes of a GIF", new TextEncoder().encode('GIF89a<svg width="9" height="9"></svg>')],
    ["a PDF", new TextEncoder().encode("%PDF-1.7")],
  ];
  for (const [what, bytes] of notImages) {
    it(`is ${what}`, async () => {
      await assert.rejects(decodeImage(bytes), invalid);
      await assert.rejects(inspectImage(bytes), invalid);
    });
  }

  it("is one without pixels", async () => {
    const file = Uint8Array.from(files.png!);
    // Width, in the header of a PNG; its checksum is wrong then too.
    file.fill(0, 16, 20);
    await assert.rejects(decodeImage(file), invalid);
    const gif = Uint8Array.from(files.gif!);
    gif.fill(0, 6, 10);
    await assert.rejects(decodeImage(gif.subarray(0, 20)), invalid);
  });

  it("is one of more pixels than the limit, which its header alone decides", async () => {
    const bomb = blackPng(20_000);
    assert.ok(bomb.length < 100_000, "400 megapixels in a few kilobytes");
    const started = performance.now();
    await assert.rejects(decodeImage(bomb), { code: "image_too_large", message: /20000 x 20000/ });
    await assert.rejects(inspectImage(bomb), { code: "image_too_large" });
    assert.ok(performance.now() - started < 500);
    await assert.rejects(decodeImage(files.png!, { maxPixels: WIDTH * HEIGHT - 1 }), { code: "image_too_large" });
    await decodeImage(files.png!, { maxPixels: WIDTH * HEIGHT });
  });

  it("is one that resizing would make too large", async () => {
    const resizeTo = () => ({ width: 6_000, height: 6_000 });
    await assert.rejects(decodeImage(files.png!, { resizeTo }), { code: "image_too_large", message: /resized/ });
  });
});
