import type { ItemInput, ItemLabel, Pair, Query, Reference, SubmitFeedback, Triplet } from "../../schemas/index.js";

/** A vector as numbers, as base64 of little-endian float32, or as a Float32Array, which is sent as base64 (much faster). */
export type VectorLike = readonly number[] | Float32Array | string;

type WithVector<T extends { vector?: unknown }> = Omit<T, "vector"> & { vector?: VectorLike };

export type ItemToSend = WithVector<ItemInput>;
export type QueryToSend = WithVector<Query>;

/** An item's id, or content that is not an item. */
export type ReferenceToSend = string | { text: string } | { vector: VectorLike };

export interface FeedbackToSend {
  pairs?: readonly { a: ReferenceToSend; b: ReferenceToSend; label: Pair["label"] }[];
  triplets?: readonly { anchor: ReferenceToSend; positive: ReferenceToSend; negative: ReferenceToSend }[];
  labels?: readonly { item: ReferenceToSend; label: string }[];
}

/** The item as JSON holds it. */
export const encodeItem = (item: ItemToSend): ItemInput => encodeVector(item) as ItemInput;

/** The query as JSON holds it. */
export const encodeQuery = (query: QueryToSend): Query => encodeVector(query) as Query;

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
  return typeof reference === "string" ? reference : (encodeVector(reference) as Reference);
}

function encodeVector<T extends { vector?: VectorLike } | { text: string }>(value: T): unknown {
  if (!("vector" in value) || !(value.vector instanceof Float32Array)) return value;
  const { buffer, byteOffset, byteLength } = value.vector;
  return { ...value, vector: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
}
