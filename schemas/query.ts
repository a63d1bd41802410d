import { type Static, Type } from "typebox";
import { Image, Payload, Strict, Vector, WithVector } from "./common.js";
import { FilterRef } from "./filter.js";

export const Query = Strict(
  {
    text: Type.Optional(Type.String()),
    image: Type.Optional(Image),
    vector: Type.Optional(Vector),
    itemId: Type.Optional(Type.String({ description: "Nearest to this item, which is left out of the results." })),
    k: Type.Optional(Type.Integer({ minimum: 1, default: 10 })),
    efSearch: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    exact: Type.Optional(Type.Boolean({ default: false, description: "Compare with every item; no graph." })),
    filter: Type.Optional(FilterRef),
    minScore: Type.Optional(Type.Number()),
    withPayload: Type.Optional(Type.Boolean({ default: true })),
    withVector: Type.Optional(WithVector),
  },
  {
    examples: [
      { text: "a kitten taking a nap", k: 3, filter: { must: [{ key: "kind", equals: "animal" }] } },
      { itemId: "note-1" },
    ],
  },
);
export type Query = Static<typeof Query>;

export const Hit = Type.Object({
  id: Type.String(),
  score: Type.Number({ description: "Larger is closer: the cosine, or 1 / (1 + distance)." }),
  distance: Type.Number({ description: "Smaller is closer: 1 - cosine, or the L2 norm of the difference." }),
  payload: Type.Optional(Type.Union([Payload, Type.Null()])),
  vector: Type.Optional(Vector),
});
export type Hit = Static<typeof Hit>;

export const QueryResult = Type.Object({
  generation: Type.Integer(),
  tookMs: Type.Number(),
  results: Type.Array(Hit),
});
export type QueryResult = Static<typeof QueryResult>;

export const QueryBatch = Strict({ queries: Type.Array(Query, { minItems: 1 }) });
export type QueryBatch = Static<typeof QueryBatch>;

export const QueryBatchResult = Type.Object({
  generation: Type.Integer(),
  tookMs: Type.Number(),
  results: Type.Array(Type.Array(Hit)),
});
export type QueryBatchResult = Static<typeof QueryBatchResult>;
