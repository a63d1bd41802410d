import type { Random } from "../../src/vector/random.js";
import type { ItemRecord } from "../../storage/index.js";

/** Characters of one to four bytes, and those with a meaning somewhere: separators, percent, quote, escape, control. */
const CHARACTERS = [
  ..."ab09Z /0.%\"'\\\u0001\n~\u007f",
  "é",
  "ß",
  "中",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "😀",
  "𐀀",
  "\u{10ffff}",
];

export function randomText(random: Random, maxLength: number, minLength = 1): string {
  let text = "";
  for (let n = minLength + random.integer(maxLength - minLength + 1); n > 0; n--) {
    text += CHARACTERS[random.integer(CHARACTERS.length)];
  }
  return text;
}

export function randomJson(random: Random, depth: number): unknown {
  const kind = random.integer(depth > 0 ? 7 : 5);
  if (kind === 0) return null;
  if (kind === 1) return random.integer(2) === 1;
  if (kind === 2) return random.normal() * 10 ** random.integer(20);
  if (kind === 3) return random.integer(1000);
  if (kind === 4) return randomText(random, 12, 0);
  if (kind === 5) return Array.from({ length: random.integer(4) }, () => randomJson(random, depth - 1));
  return randomObject(random, depth - 1);
}

export function randomObject(random: Random, depth: number): Record<string, unknown> {
  const entries = Array.from({ length: random.integer(4) }, () => [randomText(random, 5), randomJson(random, depth)]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

export function randomItem(random: Random): ItemRecord {
  const record: ItemRecord = {
    label: random.uint32(),
    sequence: Math.floor(random.uniform() * 2 ** 53),
    contentSequence: random.integer(1000),
    payload: random.integer(3) === 0 ? null : randomObject(random, 3),
  };
  if (random.integer(3) > 0) record.text = randomText(random, 60, 0);
  return record;
}
