import type { ItemRecord } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { CollectionState } from "../collection-state.js";
import type { Embedder } from "../encoding/embedder.js";
import type { Mutation } from "./item-changes.js";
import type { ItemContent } from "./item-content.js";

/** Items ready for the write queue, and those whose image cannot be read. */
export interface EmbeddedItems {
  mutations: Mutation[];
  refused: Refusal[];
}

/** `position` is that of the item in what was to be embedded. */
export interface Refusal {
  position: number;
  error: AttuneError;
}

/**
 * Embeds items before they enter the write queue, so that writers embed side by side. What an item holds already is not embedded
 * again, and vectors are what they are.
 */
export async function embedItems(contents: readonly ItemContent[], state: CollectionState): Promise<EmbeddedItems> {
  const { rules } = state;
  if (rules.modality === "vector") return { mutations: contents.map(asGiven), refused: [] };
  const unchanged = await unchangedOf(contents, state);
  const fresh = contents.filter(({ id }) => !unchanged.has(id));
  // Taken and used in one turn of the event loop: a generation that nobody uses is closed once another is active.
  const { active } = state;
  const { space } = active;
  const rows = fresh.length === 0 ? [] : await active.use(() => embedEach(fresh, space.embedder, rules.dimensions));
  const rowOf = new Map(fresh.map((content, i) => [content, rows[i]]));
  const embedded: EmbeddedItems = { mutations: [], refused: [] };
  for (const [position, content] of contents.entries()) {
    const row = rowOf.get(content);
    if (row instanceof AttuneError) embedded.refused.push({ position, error: row });
    else embedded.mutations.push({ kind: "put", content, embedded: row && { space, row } });
  }
  return embedded;
}

function asGiven(content: ItemContent): Mutation {
  return { kind: "put", content, embedded: undefined };
}

/** The embedding of each content, or why it has none. */
async function embedEach(
  contents: readonly ItemContent[],
  embedder: Embedder,
  dimensions: number,
): Promise<(Float32Array | AttuneError)[]> {
  // One call for each image: the encoder merges them, and each is refused by itself.
  if (contents.some(({ image }) => image !== undefined)) {
    return Promise.all(contents.map(({ image }) => embedder.embed([image?.bytes ?? ""], "item").catch(imageFault)));
  }
  const texts = contents.map(({ text = "" }) => text);
  const rows = await embedder.embed(texts, "item");
  return texts.map((_, i) => rows.subarray(i * dimensions, (i + 1) * dimensions));
}

/** The error again when it is about the image; anything else is thrown. */
function imageFault(error: unknown): AttuneError {
  if (error instanceof AttuneError && (error.code === "invalid_image" || error.code === "image_too_large"))
    return error;
  throw error;
}

/** Ids of the items that hold this very text or image. */
async function unchangedOf(contents: readonly ItemContent[], { table, tables }: CollectionState): Promise<Set<string>> {
  const known = contents.filter(({ id }) => table.labelOf(id) !== undefined);
  const records = await tables.items.getMany(known.map(({ id }) => id));
  return new Set(known.flatMap((content, i) => (holds(records[i], content) ? [content.id] : [])));
}

function holds(record: ItemRecord | undefined, { text, image }: ItemContent): boolean {
  return image === undefined ? text !== undefined && record?.text === text : record?.image?.hash === image.hash;
}
