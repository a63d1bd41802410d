import type { NumberedFeedback } from "../../training/index.js";
import { referenceKey, type StoredReference } from "../feedback/feedback-reference.js";
import { referencesOf, type StoredFeedback } from "../feedback/stored-feedback.js";

/** A reference to content that is no item. */
export type ExtraReference = Exclude<StoredReference, { item: string }>;

/** Numbers what feedback refers to: items by their place, other content after them. */
export class Numbering {
  private readonly places: Map<string, number>;
  private readonly extraNumbers = new Map<string, number>();
  /** Content that is no item, in order of its numbers. */
  readonly extra: ExtraReference[] = [];

  constructor(ids: readonly string[]) {
    this.places = new Map(ids.map((id, place) => [id, place]));
  }

  /** Undefined for an item that is not among them. */
  of(reference: StoredReference): number | undefined {
    if ("item" in reference) return this.places.get(reference.item);
    const key = referenceKey(reference);
    const known = this.extraNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.places.size + this.extra.length;
    this.extraNumbers.set(key, number);
    this.extra.push(reference);
    return number;
  }
}

/** Feedback with numbers instead of references; what refers to something without a number is left out. */
export function numberFeedback(
  feedback: readonly StoredFeedback[],
  number: (reference: StoredReference) => number | undefined,
): NumberedFeedback {
  const numbered: NumberedFeedback = { pairs: [], triplets: [], labels: [] };
  for (const piece of feedback) {
    const numbers = referencesOf(piece).flatMap((reference) => number(reference) ?? []);
    const [first = 0, second = 0, third = 0] = numbers;
    if (piece.kind === "pair" && numbers.length === 2) numbered.pairs.push([first, second, piece.label]);
    else if (piece.kind === "triplet" && numbers.length === 3) numbered.triplets.push([first, second, third]);
    else if (piece.kind === "label" && numbers.length === 1) numbered.labels.push([first, piece.label]);
  }
  return numbered;
}
