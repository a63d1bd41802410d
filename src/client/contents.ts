import type { ItemInput, ItemLabel, Pair, Query, Reference, SubmitFeedback, Triplet } from "../../schemas/index.js";

/** A vector as numbers, as base64 of little-endian float32, or as a Float32Array, which is sent as base64 (much faster). */
export type VectorLike = readonly number[] | Float32Array | string;

/** The bytes of an image file, or base64 of them. */
export type ImageLike = Uint8Array | string;

type ToSend<T> = Omit<T, "vector" | "image"> & { vector?: VectorLike; image?: ImageLike };

export type ItemToSend = ToSend<ItemInput>;
export type QueryToSend = ToSend<Query>;

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
export const encodeQuery = (query: QueryToSend): Query => encodeContent(query) as Query;

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
  const vector =
    "vector" in value && value.vector instanceof Float32Array ? { vector: base64(value.vector) } : undefined;
  const image = "image" in value && value.image instanceof Uint8Array ? { image: base64(value.image) } : undefined;
  return vector === undefined && image === undefined ? value : { ...value, ...vector, ...image };
}

function base64({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
