import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { ImagePixels } from "../src/image/index.js";
import {
  augmentPixels,
  augmentText,
  changePixels,
  drawPixelChanges,
  type PixelChanges,
} from "../src/training/augmentation/index.js";
import { AUGMENTATION_DEFAULTS, type AugmentationOptions } from "../src/training/task/options.js";
import { Random } from "../src/vector/index.js";
import { readArgs } from "./support/args.js";
import { encodePng } from "./support/png.js";

/*
 * Draws the sample sheet of docs/augmentation.md: two drawn images, one augmentation a row, stronger from left to right. Prints
 * the table of texts, and how many images a second are augmented.
 */

const args = readArgs("Sample sheet of the augmentations.", {
  out: { default: "docs/images/augmentation.png", describe: "the file to write" },
  seed: { default: 3, describe: "of what is random in the sheet" },
});

const SIZE = 64;
const GAP = 4;
const STEPS = 6;
const OFF = drawPixelChanges(
  { rotation: 0, blur: 0, brightness: 0, contrast: 0, crop: 0, wordDropout: 0, spanDropout: 0 },
  new Random(0),
);

/** Each row: the change at a strength of 0 to 1. */
const ROWS: ((strength: number) => PixelChanges)[] = [
  (strength) => ({ ...OFF, angle: 90 * strength }),
  (strength) => {
    const side = Math.sqrt(1 - 0.8 * strength);
    return { ...OFF, window: { left: (1 - side) / 2, top: (1 - side) / 3, width: side, height: side } };
  },
  (strength) => ({ ...OFF, blur: 4 * strength }),
  (strength) => ({ ...OFF, brightness: 1 - 0.8 * strength }),
  (strength) => ({ ...OFF, brightness: 1 + 0.8 * strength }),
  (strength) => ({ ...OFF, contrast: 1 - 0.8 * strength }),
  (strength) => ({ ...OFF, contrast: 1 + 0.8 * strength }),
];

const images = [glyph(), landscape()];
const rows = ROWS.map((change) =>
  images.flatMap((image) =>
    Array.from({ length: STEPS }, (_, step) => changePixels(image, change(step / (STEPS - 1)))),
  ),
);
const random = new Random(args.seed);
rows.push(
  images.flatMap((image) => Array.from({ length: STEPS }, () => augmentPixels(image, AUGMENTATION_DEFAULTS, random))),
);
mkdirSync(dirname(args.out), { recursive: true });
writeFileSync(args.out, encodePng(sheetOf(rows)));
console.log(`${args.out}\n`);
printTexts();
printRates();

/** A drawing: an arc, a bar and a dot, black on white. */
function glyph(): ImagePixels {
  return draw((x, y) => {
    const arc = Math.abs(Math.hypot(x - 0.48, y - 0.45) - 0.24) - 0.025 + (x > 0.6 && y > 0.4 ? 1 : 0);
    const bar = Math.max(Math.abs(x - 0.32 - 0.25 * (y - 0.2)) - 0.028, Math.abs(y - 0.55) - 0.3);
    const dot = Math.hypot(x - 0.75, y - 0.75) - 0.05;
    const ink = 255 * Math.min(1, Math.max(0, Math.min(arc, bar, dot) * SIZE + 0.5));
    return [ink, ink, ink];
  });
}

/** Sky, sun and two hills, in colour. */
function landscape(): ImagePixels {
  return draw((x, y) => {
    const near = y > 0.72 + 0.09 * Math.sin(7 * x + 1);
    const far = y > 0.55 + 0.13 * Math.sin(5 * x + 4);
    if (near) return [52 + 40 * x, 98 + 30 * Math.sin(60 * x) * y, 40];
    if (far) return [98, 128 + 30 * x, 92];
    if (Math.hypot(x - 0.72, y - 0.24) < 0.11) return [250, 215, 110];
    return [120 + 90 * y, 165 + 60 * y, 225];
  });
}

function draw(colour: (x: number, y: number) => [number, number, number]): ImagePixels {
  const data = new Uint8ClampedArray(3 * SIZE * SIZE);
  for (let row = 0; row < SIZE; row++)
    for (let column = 0; column < SIZE; column++)
      data.set(colour((column + 0.5) / SIZE, (row + 0.5) / SIZE), 3 * (row * SIZE + column));
  return { width: SIZE, height: SIZE, data: new Uint8Array(data.buffer) };
}

/** Images side by side on grey, all of one size. */
function sheetOf(cells: readonly ImagePixels[][]): ImagePixels {
  const pitch = SIZE + GAP;
  const width = GAP + (cells[0]?.length ?? 0) * pitch;
  const height = GAP + cells.length * pitch;
  const data = new Uint8Array(3 * width * height).fill(128);
  cells.forEach((line, row) => {
    line.forEach((image, column) => {
      for (let y = 0; y < SIZE; y++) {
        const at = (GAP + row * pitch + y) * width + GAP + column * pitch;
        data.set(image.data.subarray(3 * SIZE * y, 3 * SIZE * (y + 1)), 3 * at);
      }
    });
  });
  return { width, height, data };
}

function printTexts(): void {
  const text = "I am still waiting on my card, and would like to know where it is";
  const none: AugmentationOptions = { ...AUGMENTATION_DEFAULTS, wordDropout: 0, spanDropout: 0 };
  const rows: [string, AugmentationOptions][] = [
    ...[0.1, 0.3, 0.6].map((wordDropout): [string, AugmentationOptions] => [
      `\`wordDropout\` ${wordDropout}`,
      { ...none, wordDropout },
    ]),
    ...[0.1, 0.3, 0.6].map((spanDropout): [string, AugmentationOptions] => [
      `\`spanDropout\` ${spanDropout}`,
      { ...none, spanDropout },
    ]),
    ["both at .15", AUGMENTATION_DEFAULTS],
  ];
  for (const [name, options] of rows) console.log(`| ${name} | ${augmentText(text, options, random)} |`);
  console.log();
}

function printRates(): void {
  for (const side of [32, 64, 224]) {
    const data = Uint8Array.from({ length: 3 * side * side }, () => random.integer(256));
    const image = { width: side, height: side, data };
    const count = Math.ceil(4_000_000 / (side * side));
    for (let i = 0; i < count / 4; i++) augmentPixels(image, AUGMENTATION_DEFAULTS, random);
    const started = performance.now();
    for (let i = 0; i < count; i++) augmentPixels(image, AUGMENTATION_DEFAULTS, random);
    console.log(`${side} x ${side}: ${Math.round((1000 * count) / (performance.now() - started))} images/s`);
  }
}
