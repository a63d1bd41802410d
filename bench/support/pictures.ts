import sharp from "sharp";
import { Random } from "../../src/vector/index.js";

export type PictureKind = "drawings" | "photos";

/** Different pictures; more are the same again. */
const DIFFERENT = 100;

/** Image files: `drawings` of 105 x 105 as PNG (the size of Omniglot's), or `photos` of 1024 x 768 as JPEG. */
export async function makePictures(kind: PictureKind, count: number, seed: number): Promise<Uint8Array[]> {
  const random = new Random(seed);
  const make = kind === "drawings" ? drawing : photo;
  const different: Uint8Array[] = [];
  for (let at = 0; at < Math.min(count, DIFFERENT); at++) different.push(await make(random));
  return Array.from({ length: count }, (_, at) => different[at % different.length] ?? new Uint8Array(0));
}

/** A walk of the pen, dark on white. */
function drawing(random: Random): Promise<Uint8Array> {
  const side = 105;
  const data = new Uint8Array(side * side).fill(255);
  let [x, y, angle] = [side / 2, side / 2, 0];
  for (let step = 0; step < 400; step++) {
    angle += 0.3 * random.normal();
    x = (x + Math.cos(angle) + side) % side;
    y = (y + Math.sin(angle) + side) % side;
    data[Math.floor(y) * side + Math.floor(x)] = 0;
  }
  return sharp(data, { raw: { width: side, height: side, channels: 1 } })
    .png()
    .toBuffer();
}

/** Waves of colour with the noise of a sensor, which takes a JPEG about as long as a photo does. */
function photo(random: Random): Promise<Uint8Array> {
  const [width, height] = [1024, 768];
  const waves = Array.from({ length: 3 }, () => [random.uniform() / 20, random.uniform() / 20, 6 * random.uniform()]);
  const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [across = 0, down = 0, phase = 0] = waves[at % 3] ?? [];
    const pixel = Math.floor(at / 3);
    return (
      128 + 90 * Math.sin(across * (pixel % width) + down * Math.floor(pixel / width) + phase) + 10 * random.uniform()
    );
  });
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
