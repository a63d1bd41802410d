import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { augmentText } from "../../src/training/augmentation/index.js";
import { AUGMENTATION_DEFAULTS } from "../../src/training/task/options.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

const strengths = (wordDropout: number, spanDropout: number) => ({
  ...AUGMENTATION_DEFAULTS,
  wordDropout,
  spanDropout,
});
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`);

describe("augmented texts", () => {
  const seed = seedOf("augment-text", 13);

  it("are the text itself where both strengths are 0", () => {
    for (const text of ["", "  ", "one", " two  words\n", "我在等我的卡"])
      assert.equal(augmentText(text, strengths(0, 0), new Random(seed)), text);
  });

  it("are the same for the same seed, and others for another", () => {
    const text = numbered(30).join(" ");
    const view = (from: number) => augmentText(text, AUGMENTATION_DEFAULTS, new Random(from));
    assert.equal(view(1), view(1));
    assert.notEqual(view(1), view(2));
  });

  it("never are empty where the text is not, and are some of its words in their order", () => {
    const random = new Random(seed);
    for (const count of [1, 2, 3, 7, 40]) {
      const words = numbered(count);
      for (let round = 0; round < 200; round++) {
        const kept = augmentText(words.join(" "), strengths(0.9, 0.9), random).split(" ");
        const places = kept.map((word) => words.indexOf(word));
        assert.ok(places.length > 0 && places.every((place, i) => place > (places[i - 1] ?? -1)), kept.join(" "));
      }
    }
  });

  it("lack the share of words that was asked for", () => {
    const random = new Random(seed);
    for (const [word, span, expected] of [
      [0.3, 0, 0.7],
      [0, 0.15, 0.85],
      [0.2, 0.25, 0.6],
    ] as const) {
      let left = 0;
      for (let round = 0; round < 4_000; round++)
        left += augmentText(numbered(13).join(" "), strengths(word, span), random).split(" ").length;
      const share = left / (4_000 * 13);
      assert.ok(Math.abs(share - expected) < 0.01, `words ${word}, span ${span}: ${share} stay`);
    }
  });

  it("lack one piece by span dropout, as likely at any place", () => {
    const random = new Random(seed);
    const starts = new Array<number>(8).fill(0);
    for (let round = 0; round < 8_000; round++) {
      const kept = augmentText(numbered(10).join(" "), strengths(0, 0.3), random)
        .split(" ")
        .map((word) => Number(word.slice(1)));
      assert.equal(kept.length, 7);
      const start = kept.findIndex((place, i) => place !== i);
      const gap = start === -1 ? 7 : start;
      assert.deepEqual(
        kept,
        Array.from({ length: 7 }, (_, i) => (i < gap ? i : i + 3)),
      );
      starts[gap]!++;
    }
    for (const count of starts) assert.ok(Math.abs(count - 1_000) < 150, starts.join(" "));
  });

  it("keep what stands between words, and nothing at the ends", () => {
    const random = new Random(seed);
    for (let round = 0; round < 50; round++) {
      const text = augmentText("  one,\ttwo\n\nthree  four ", strengths(0.5, 0), random);
      assert.match(text, /^(one,)?\t?(two)?\n*(three)?( {2})?(four)?$|^ {2}one,\ttwo\n\nthree {2}four $/);
      if (text.length < 20) assert.equal(text, text.trim());
    }
  });

  it("of scripts without spaces lose whole words too", () => {
    const random = new Random(seed);
    const words = ["我", "在", "等", "我的", "卡", "。"];
    const seen = new Set(Array.from({ length: 60 }, () => augmentText(words.join(""), strengths(0.3, 0), random)));
    assert.ok(seen.size > 5, [...seen].join(" "));
    for (const text of seen) assert.match(text, /^我?在?等?(我的)?(卡。?)?$/);
  });
});
