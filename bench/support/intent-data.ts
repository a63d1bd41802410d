import { Random } from "../../src/vector/index.js";
import { loadBanking77 } from "./banking77.js";

export interface IntentText {
  text: string;
  intent: string;
}

/** Texts with intents: a corpus to search, and queries whose relevant items are those of the same intent. */
export interface IntentData {
  name: string;
  train: IntentText[];
  test: IntentText[];
}

/**
 * "banking77"; "banking77-validation", its corpus alone, a fifth of which stands for the test queries, to choose defaults by; or
 * "synthetic": sentences made up from word lists, for machines without data sets.
 */
export function loadIntentData(name: string, { seed = 1, count = 600 } = {}): IntentData {
  if (name === "banking77") return loadBanking77();
  if (name === "banking77-validation") return withoutTest(loadBanking77());
  if (name === "synthetic") return syntheticIntents(seed, count);
  throw new Error(`unknown data set "${name}": expected banking77, banking77-validation or synthetic`);
}

/** The same fifth of each intent's texts in every run: it belongs to the setting, not to the seed. */
function withoutTest({ name, train }: IntentData): IntentData {
  const seen = new Map<string, number>();
  const test = new Random(1).shuffle([...train]).filter(({ intent }) => {
    const before = seen.get(intent) ?? 0;
    seen.set(intent, before + 1);
    return before % 5 === 0;
  });
  const queries = new Set(test);
  return { name: `${name}, validation`, train: train.filter((text) => !queries.has(text)), test };
}

const THINGS = "card account transfer payment refund loan fee rate statement deposit wallet cheque".split(" ");
const ACTIONS = "order cancel find check raise move close share".split(" ");
const OPENINGS = "how do I|please help me|I want to|is it possible to|can somebody|tell me how to|why can I not".split(
  "|",
);
const ENDINGS = "today|on my phone|from abroad|without a fee|at once|for my company|before Friday|by post".split("|");

/** An intent is an action on a thing; four fifths of the sentences are the corpus. */
function syntheticIntents(seed: number, count: number): IntentData {
  const random = new Random(seed);
  const pick = (words: readonly string[]) => words[random.integer(words.length)] ?? "";
  const texts = Array.from({ length: count }, (): IntentText => {
    const [action, thing] = [pick(ACTIONS), pick(THINGS)];
    const text = `${pick(OPENINGS)} ${action} the ${thing} ${pick(ENDINGS)}`;
    return { text, intent: `${action}_${thing}` };
  });
  const split = Math.floor(count * 0.8);
  return { name: `synthetic (seed ${seed})`, train: texts.slice(0, split), test: texts.slice(split) };
}
