import { deflateSync } from "node:zlib";

export type Colour = readonly [red: number, green: number, blue: number];

export const COLOURS = {
  red: [220, 30, 30],
  green: [30, 200, 40],
  blue: [30, 40, 220],
  white: [250, 250, 250],
} as const satisfies Record<string, Colour>;

/** A PNG file, written by hand: 8 bit RGB, each row unfiltered. */
export function png(width: number, height: number, colourAt: (x: number, y: number) => Colour): Buffer {
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows.set(colourAt(x, y), y * (1 + width * 3) + 1 + x * 3);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A PNG of one colour; `shade` moves the colour a little, so that there are many of them. */
export function plain(colour: keyof typeof COLOURS, shade = 0): Buffer {
  const [red, green, blue] = COLOURS[colour];
  const move = (value: number) => Math.max(0, Math.min(255, value + shade));
  return png(10, 10, () => [move(red), move(green), move(blue)]);
}

/** A PNG whose header promises more pixels than its data holds. */
export function hugePng(width: number, height: number): Buffer {
  const small = png(1, 1, () => COLOURS.red);
  const header = Buffer.from(small.subarray(16, 29));
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  return Buffer.concat([small.subarray(0, 8), chunk("IHDR", header), small.subarray(33)]);
}

function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The checksum of PNG chunks (RFC 2083, appendix 15). */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
