import { type Static, Type } from "typebox";
import { Image, OneOf, Strict, Vector } from "./common.js";

export const Reference = Type.Union(
  [Type.String(), Strict({ text: Type.String() }), Strict({ image: Image }), Strict({ vector: Vector })],
  { description: "An item's id, or content that is not an item (a query), kept as it is." },
);
export type Reference = Static<typeof Reference>;

/** A reference as it is listed: an image by its address. */
export const ShownReference = Type.Union(
  [
    Type.String(),
    Type.Object({ text: Type.String() }),
    Type.Object({
      image: Type.Object({
        hash: Type.String({ description: "SHA-256 of the file, in hexadecimal." }),
        url: Type.String({ description: "Path of the image on this server." }),
      }),
    }),
    Type.Object({ vector: Type.String() }),
  ],
  { description: "An item's id, or the content that was sent." },
);
export type ShownReference = Static<typeof ShownReference>;

export const PairLabel = OneOf(["similar", "dissimilar"] as const);
export type PairLabel = Static<typeof PairLabel>;

export const Pair = Strict({ a: Reference, b: Reference, label: PairLabel });
export type Pair = Static<typeof Pair>;
export const Triplet = Strict({ anchor: Reference, positive: Reference, negative: Reference });
export type Triplet = Static<typeof Triplet>;
export const ItemLabel = Strict({
  item: Reference,
  label: Type.String({ minLength: 1, description: "Items of one label are similar, of different labels dissimilar." }),
});
export type ItemLabel = Static<typeof ItemLabel>;

export const SubmitFeedback = Strict(
  {
    pairs: Type.Optional(Type.Array(Pair)),
    triplets: Type.Optional(Type.Array(Triplet)),
    labels: Type.Optional(Type.Array(ItemLabel)),
  },
  {
    minProperties: 1,
    examples: [
      { pairs: [{ a: { text: "a kitten taking a nap" }, b: "note-1", label: "similar" }] },
      { triplets: [{ anchor: "note-1", positive: "note-2", negative: "note-3" }] },
    ],
  },
);
export type SubmitFeedback = Static<typeof SubmitFeedback>;

export const FeedbackResult = Type.Object({
  accepted: Type.Integer(),
  ids: Type.Array(Type.String(), { description: "In the order pairs, triplets, labels." }),
  total: Type.Integer(),
  replaced: Type.Integer(),
  fineTune: Type.Optional(Type.Object({ id: Type.String() })),
});
export type FeedbackResult = Static<typeof FeedbackResult>;

export const FeedbackEntry = Type.Object({
  id: Type.String(),
  kind: OneOf(["pair", "triplet", "label"] as const),
  pair: Type.Optional(Type.Object({ a: ShownReference, b: ShownReference, label: PairLabel })),
  triplet: Type.Optional(Type.Object({ anchor: ShownReference, positive: ShownReference, negative: ShownReference })),
  label: Type.Optional(Type.Object({ item: ShownReference, label: Type.String() })),
  createdAt: Type.String(),
  stale: Type.Boolean({ description: "True when an item it is about was deleted or its content replaced." }),
});
export type FeedbackEntry = Static<typeof FeedbackEntry>;

export const FeedbackParams = Strict({ collection: Type.String(), id: Type.String() });

export const FeedbackList = Type.Object({
  feedback: Type.Array(FeedbackEntry),
  nextCursor: Type.Optional(Type.String()),
});
export type FeedbackList = Static<typeof FeedbackList>;
