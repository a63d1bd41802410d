import { referenceKey, type StoredReference } from "./feedback-reference.js";

/** One piece of feedback as stored. */
export type StoredFeedback =
  | { kind: "pair"; a: StoredReference; b: StoredReference; label: "similar" | "dissimilar" }
  | { kind: "triplet"; anchor: StoredReference; positive: StoredReference; negative: StoredReference }
  | { kind: "label"; item: StoredReference; label: string };

/** Everything an entry refers to, in the order of its fields. */
export function referencesOf(feedback: StoredFeedback): StoredReference[] {
  switch (feedback.kind) {
    case "pair":
      return [feedback.a, feedback.b];
    case "triplet":
      return [feedback.anchor, feedback.positive, feedback.negative];
    case "label":
      return [feedback.item];
  }
}

/** Hashes of the images that an entry brought along. */
export function imagesOf(feedback: StoredFeedback): string[] {
  return referencesOf(feedback).flatMap((reference) => ("image" in reference ? [reference.image] : []));
}

/** What an entry is about; a later entry about the same takes its place. */
export function subjectOf(feedback: StoredFeedback): string {
  switch (feedback.kind) {
    case "pair":
      return `p ${pairKey(feedback.a, feedback.b)}`;
    case "triplet":
      return `t ${JSON.stringify(referencesOf(feedback).map(referenceKey))}`;
    case "label":
      return `l ${referenceKey(feedback.item)}`;
  }
}

/** What an entry says about its subject. */
export function verdictOf(feedback: StoredFeedback): string {
  return feedback.kind === "triplet" ? "triplet" : feedback.label;
}

/** The same for both directions. */
export function pairKey(a: StoredReference, b: StoredReference): string {
  return JSON.stringify([referenceKey(a), referenceKey(b)].sort());
}
