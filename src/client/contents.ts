import type { ItemInput, ItemLabel, Pair, Query, Reference, SubmitFeedback, Triplet } from "../../schemas/index.js";
import { askedForm, type VectorForm } from "./answers.js";

/** A vector as numbers, or as base64 of little-endian float32. Numbers are sent as base64 too: the server works in float32. */
export type VectorLike = readonly number[] | Float32Array | string;

/** The bytes of an image file, or base64 of them. */
export type ImageLike = Uint8Array | string;

type ToSend<T> = Omit<T, "vector" | "image" | "withVector"> & { vector?: VectorLike; image?: ImageLike };

export type ItemToSend = ToSend<ItemInput>;
export type QueryToSend<Form extends VectorForm = boolean> = ToSend<Query> & { withVector?: Form | undefined };

/** An item's id, or content that is not an item. */
export type ReferenceToSend = string | { text: string } | { image: ImageLike } | { vector: VectorLike };

export interface FeedbackToSend {
  pairs?: readonly { a: ReferenceToSend; b: ReferenceToSend; label: Pair["label"] }[];
  triplets?: readonly { anchor: ReferenceToSend; positive: ReferenceToSend; negative: ReferenceToSend }[];
  labels?: readonly { item: ReferenceToSend; label: string }[];
}

/** The item as JSON holds it. */
export const encodeItem = (item: ItemToSend): ItemInput => encodeContent(item) as ItemInput;

/** The query as JSON holds it. */
export const encodeQuery = (query: QueryToSend<VectorForm>): Query =>
  encodeContent(query.withVector === "float32" ? { ...query, withVector: askedForm("float32") } : query) as Query;

/** The feedback as JSON holds it. */
export function encodeFeedback({ pairs, triplets, labels }: FeedbackToSend): SubmitFeedback {
  return {
    ...(pairs && {
      pairs: pairs.map((pair): Pair => ({ ...pair, a: encodeReference(pair.a), b: encodeReference(pair.b) })),
    }),
    ...(triplets && { triplets: triplets.map(encodeTriplet) }),
    ...(labels && { labels: labels.map((label): ItemLabel => ({ ...label, item: encodeReference(label.item) })) }),
  };
}

function encodeTriplet(triplet: {
  anchor: ReferenceToSend;
  positive: ReferenceToSend;
  negative: ReferenceToSend;
}): Triplet {
  const { anchor, positive, negative } = triplet;
  return { anchor: encodeReference(anchor), positive: encodeReference(positive), negative: encodeReference(negative) };
}

function encodeReference(reference: ReferenceToSend): Reference {
  return typeof reference === "string" ? reference : (encodeContent(reference) as Reference);
}

/** Vectors and images that are bytes, as base64. */
function encodeContent(value: object): object {
  const numbers = "vector" in value ? toFloat32(value.vector) : undefined;
  const vector = numbers === undefined ? undefined : { vector: base64(numbers) };
  const image = "image" in value && value.image instanceof Uint8Array ? { image: base64(value.image) } : undefined;
  return vector === undefined && image === undefined ? value : { ...value, ...vector, ...image };
}

/** Undefined for what is sent as it is: base64, and arrays of other things than numbers, which the server refuses by name. */
function toFloat32(vector: unknown): Float32Array | undefined {
  if (vector instanceof Float32Array) return vector;
  const isNumbers = Array.isArray(vector) && vector.every((element) => typeof element === "number");
  return isNumbers ? Float32Array.from(vector as number[]) : undefined;
}

function base64({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
