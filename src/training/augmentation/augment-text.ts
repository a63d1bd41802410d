import type { Random } from "../../vector/random.js";
import type { AugmentationOptions } from "../task/options.js";

/** Scripts that put no spaces between words. */
const WITHOUT_SPACES =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const segmenter = new Intl.Segmenter("en", { granularity: "word" });

/**
 * A text that says nearly the same: one piece of it is left out, then single words of the rest, each by its own chance (word
 * dropout: Iyyer et al. 2015; a whole span as in cutoff, Shen et al. 2020). At least one word always stays, and the words
 * that stay keep what stood between them and the next.
 *
 * The same text, options and state of `random` give the same result. With both strengths 0 it is the text itself.
 */
export function augmentText(text: string, options: AugmentationOptions, random: Random): string {
  const words = wordsOf(text);
  const kept = dropWords(dropSpan(words, options.spanDropout, random), options.wordDropout, random);
  return kept.length === words.length ? text : kept.join("").trim();
}

/** The words of a text, each with the space behind it. */
function wordsOf(text: string): string[] {
  if (!WITHOUT_SPACES.test(text)) return text.match(/\S+\s*/g) ?? [];
  const words: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(text)) {
    // Spaces and marks go with the word before them.
    if (isWordLike || words.length === 0) words.push(segment);
    else words.push(`${words.pop()}${segment}`);
  }
  return words;
}

/** Leaves out a run of `share` of the words, rounded up or down by chance so that it is `share` on average; never all of them. */
function dropSpan(words: readonly string[], share: number, random: Random): readonly string[] {
  if (share === 0) return words;
  const length = Math.min(Math.floor(share * words.length + random.uniform()), words.length - 1);
  if (length <= 0) return words;
  const start = random.integer(words.length - length + 1);
  return [...words.slice(0, start), ...words.slice(start + length)];
}

/** Leaves out each word with the chance `share`; where that would be all, one of them stays. */
function dropWords(words: readonly string[], share: number, random: Random): readonly string[] {
  if (share === 0 || words.length < 2) return words;
  const kept = words.filter(() => random.uniform() >= share);
  if (kept.length > 0) return kept;
  const saved = random.integer(words.length);
  return words.slice(saved, saved + 1);
}
