import { AttuneError } from "../../errors/index.js";
import { referenceKey, type StoredReference } from "./feedback-reference.js";
import { pairKey, referencesOf, type StoredFeedback } from "./stored-feedback.js";

/**
 * Refuses a submission that says two things of one pair or one item, or ties a thing to itself. A triplet is relative (the
 * anchor is nearer to the positive than to the negative), so it contradicts only its own reversal and a pair that says the
 * opposite. A contradiction with earlier feedback is no error: people change their minds, and the newer wins.
 * @throws contradictory_feedback
 */
export function checkContradictions(feedback: readonly StoredFeedback[]): void {
  const said = new Map<string, string>();
  const say = (subject: string, verdict: string, what: () => string) => {
    const before = said.get(subject);
    if (before !== undefined && before !== verdict) throw contradiction(`${what()} both ${before} and ${verdict}`);
    said.set(subject, verdict);
  };
  for (const piece of feedback) {
    checkDistinct(piece);
    if (piece.kind === "pair") {
      say(`p ${pairKey(piece.a, piece.b)}`, piece.label, () => `${shown(piece.a)} and ${shown(piece.b)} are marked`);
    } else if (piece.kind === "label") {
      say(`l ${referenceKey(piece.item)}`, JSON.stringify(piece.label), () => `${shown(piece.item)} is labelled`);
    }
  }
  for (const piece of feedback) {
    if (piece.kind !== "triplet") continue;
    const { anchor, positive, negative } = piece;
    const pairSays = (other: StoredReference) => said.get(`p ${pairKey(anchor, other)}`);
    if (pairSays(positive) === "dissimilar" || pairSays(negative) === "similar") {
      throw contradiction(`a pair says the opposite of the triplet with the anchor ${shown(anchor)}`);
    }
    const [first, second] = [positive, negative].map(referenceKey).sort();
    const nearer = shown(positive);
    say(`t ${JSON.stringify([referenceKey(anchor), first, second])}`, nearer, () => `nearest to ${shown(anchor)} are`);
  }
}

function checkDistinct(piece: StoredFeedback): void {
  const seen = new Set<string>();
  for (const reference of referencesOf(piece)) {
    const key = referenceKey(reference);
    if (seen.has(key))
      throw contradiction(`${shown(reference)} stands twice in one ${piece.kind}; feedback ties different things`);
    seen.add(key);
  }
}

/** The reference in a message. */
function shown(reference: StoredReference): string {
  if ("image" in reference) return `the image ${reference.image.slice(0, 12)}`;
  return JSON.stringify("item" in reference ? reference.item : reference).slice(0, 80);
}

function contradiction(what: string): AttuneError {
  return new AttuneError("contradictory_feedback", `In one submission, ${what}. Nothing was stored; send one verdict.`);
}
