import type { Modality, Reference, ShownReference } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { readVector } from "../../vector/index.js";
import { contentUrl } from "../items/content-urls.js";
import { type ImageContent, readImage } from "../items/image-content.js";
import { anOrA, type ContentRules, checkText } from "../items/item-content.js";
import type { ItemTable } from "../items/item-table.js";

/**
 * What a piece of feedback is about, as stored: an item with the sequence of the content that was judged, or content of its
 * own that is no item.
 */
export type StoredReference =
  | { item: string; contentSequence: number }
  | { text: string }
  | { image: string /* hash of a file in the content store */; type: string }
  | { vector: string /* base64 of little-endian float32 */ };

/** What references of a request are read with. */
export interface ReferenceRules {
  table: ItemTable;
  content: ContentRules;
  /** Takes an image that a reference brings. @throws invalid_image, image_too_large when it could not be encoded */
  takeImage(image: ImageContent): Promise<void>;
}

/**
 * Reads a reference of a request.
 * @throws unknown_item, wrong_modality, empty_text, invalid_text, invalid_image, image_too_large, wrong_dimensions, not_finite,
 *   zero_vector, invalid_vector
 */
export async function readReference(reference: Reference, rules: ReferenceRules): Promise<StoredReference> {
  const { table, content } = rules;
  if (typeof reference === "string") {
    const contentSequence = table.contentSequence(reference);
    if (contentSequence === undefined) {
      throw new AttuneError(
        "unknown_item",
        `There is no item ${JSON.stringify(reference.slice(0, 80))}. Feedback names items that are in the collection, or brings its own content as {"${content.modality}": ...}.`,
      );
    }
    return { item: reference, contentSequence };
  }
  const { modality, dimensions, metric } = content;
  if ("text" in reference) {
    if (!content.accepts.text) throw wrongKind("text", modality);
    checkText(reference.text);
    return { text: reference.text };
  }
  if ("image" in reference) {
    if (!content.accepts.image) throw wrongKind("an image", modality);
    const image = readImage(reference.image);
    await rules.takeImage(image);
    return { image: image.hash, type: image.type };
  }
  if (modality !== "vector") throw wrongKind("a vector", modality);
  const vector = readVector(reference.vector, dimensions, metric);
  return { vector: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64") };
}

function wrongKind(got: string, modality: Modality): AttuneError {
  return new AttuneError(
    "wrong_modality",
    `A reference to ${got} cannot be encoded again in ${anOrA(modality)} collection; send an item's id or {"${modality}": ...}.`,
  );
}

/** Equal for references to the same content. */
export function referenceKey(reference: StoredReference): string {
  if ("item" in reference) return `i${reference.contentSequence}:${reference.item}`;
  if ("image" in reference) return `m${reference.image}`;
  return "text" in reference ? `t${reference.text}` : `v${reference.vector}`;
}

/** The reference as the person wrote it; an image by its address. */
export function showReference(reference: StoredReference, collection: string): ShownReference {
  if ("item" in reference) return reference.item;
  if (!("image" in reference)) return reference;
  return { image: { hash: reference.image, url: contentUrl(collection, reference.image) } };
}

/** Whether the content that was judged is gone: its item deleted or its content replaced. */
export function isStale(reference: StoredReference, table: ItemTable): boolean {
  return "item" in reference && table.contentSequence(reference.item) !== reference.contentSequence;
}
