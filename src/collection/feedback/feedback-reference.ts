import type { Reference } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { readVector } from "../../vector/index.js";
import { type ContentRules, checkText } from "../items/item-content.js";
import type { ItemTable } from "../items/item-table.js";

/**
 * What a piece of feedback is about, as stored: an item with the sequence of the content that was judged, or content of its
 * own that is no item.
 */
export type StoredReference =
  | { item: string; contentSequence: number }
  | { text: string }
  | { vector: string /* base64 of little-endian float32 */ };

/**
 * Reads a reference of a request.
 * @throws unknown_item, wrong_modality, empty_text, invalid_text, wrong_dimensions, not_finite, zero_vector, invalid_vector
 */
export function readReference(reference: Reference, table: ItemTable, rules: ContentRules): StoredReference {
  if (typeof reference === "string") {
    const contentSequence = table.contentSequence(reference);
    if (contentSequence === undefined) {
      throw new AttuneError(
        "unknown_item",
        `There is no item ${JSON.stringify(reference.slice(0, 80))}. Feedback names items that are in the collection, or brings its own content as {"${rules.modality}": ...}.`,
      );
    }
    return { item: reference, contentSequence };
  }
  if ("text" in reference) {
    if (rules.modality !== "text") throw wrongKind("text", rules.modality);
    checkText(reference.text);
    return { text: reference.text };
  }
  if (rules.modality !== "vector") throw wrongKind("vector", rules.modality);
  const vector = readVector(reference.vector, rules.dimensions, rules.metric);
  return { vector: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64") };
}

function wrongKind(got: string, modality: string): AttuneError {
  return new AttuneError(
    "wrong_modality",
    `A reference to ${got} cannot be encoded again in a ${modality} collection; send an item's id or {"${modality}": ...}.`,
  );
}

/** Equal for references to the same content. */
export function referenceKey(reference: StoredReference): string {
  if ("item" in reference) return `i${reference.contentSequence}:${reference.item}`;
  return "text" in reference ? `t${reference.text}` : `v${reference.vector}`;
}

/** The reference as the person wrote it. */
export function showReference(reference: StoredReference): Reference {
  return "item" in reference ? reference.item : reference;
}

/** Whether the content that was judged is gone: its item deleted or its content replaced. */
export function isStale(reference: StoredReference, table: ItemTable): boolean {
  return "item" in reference && table.contentSequence(reference.item) !== reference.contentSequence;
}
