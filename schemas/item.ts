import { type Static, Type } from "typebox";
import { Cursor, Image, ItemId, Limit, PageQuery, Payload, Strict, Vector, WithVector } from "./common.js";
import { FilterRef } from "./filter.js";

export const ItemInput = Strict({
  id: ItemId,
  text: Type.Optional(Type.String()),
  image: Type.Optional(Image),
  vector: Type.Optional(Vector),
  payload: Type.Optional(Payload),
});
export type ItemInput = Static<typeof ItemInput>;

export const UpsertItems = Strict(
  { items: Type.Array(ItemInput) },
  { examples: [{ items: [{ id: "note-1", text: "a cat sleeps on the sofa", payload: { kind: "animal" } }] }] },
);
export type UpsertItems = Static<typeof UpsertItems>;

export const UpsertResult = Type.Object({ upserted: Type.Integer(), generation: Type.Integer() });
export type UpsertResult = Static<typeof UpsertResult>;

export const StreamResult = Type.Object({
  upserted: Type.Integer(),
  failed: Type.Integer(),
  errors: Type.Array(Type.Object({ line: Type.Integer(), code: Type.String(), detail: Type.String() }), {
    description: "The first 100; line 1 is the first.",
  }),
  generation: Type.Integer(),
});
export type StreamResult = Static<typeof StreamResult>;

export const Item = Type.Object({
  id: Type.String(),
  text: Type.Optional(Type.String()),
  imageUrl: Type.Optional(Type.String({ description: "Path of the image on this server." })),
  payload: Type.Union([Payload, Type.Null()]),
  vector: Type.Optional(
    Type.Union([...Vector.anyOf], {
      description: "The encoder's output, before the head: numbers, or base64 if asked for.",
    }),
  ),
});
export type Item = Static<typeof Item>;

/** The bytes of an image file, as they were sent. */
export const ImageBytes = Type.Unsafe<Uint8Array>({
  description: "The image file as it was sent; its media type is told from its bytes. The ETag is its SHA-256.",
  content: { "image/*": { schema: { type: "string", format: "binary" } } },
});
export const ContentParams = Strict({
  collection: Type.String(),
  hash: Type.String({ pattern: "^[0-9a-f]{64}$", description: "SHA-256 of the file, in hexadecimal." }),
});

export const WithVectorQuery = Strict({ withVector: Type.Optional(WithVector) });
export const ListItemsQuery = Strict({ ...PageQuery.properties, ...WithVectorQuery.properties });
export const GetItems = Strict({ ids: Type.Array(Type.String()), withVector: Type.Optional(WithVector) });
export const ItemsResult = Type.Object({ items: Type.Array(Item) });
export const ItemList = Type.Object({ items: Type.Array(Item), nextCursor: Type.Optional(Type.String()) });
export type ItemList = Static<typeof ItemList>;

export const ScrollItems = Strict({
  filter: Type.Optional(FilterRef),
  limit: Type.Optional(Limit),
  cursor: Type.Optional(Cursor),
  withVector: Type.Optional(WithVector),
});
export type ScrollItems = Static<typeof ScrollItems>;

export const CountItems = Strict({ filter: Type.Optional(FilterRef) });
export const CountResult = Type.Object({ count: Type.Integer() });

export const PatchItem = Strict({ payload: Payload });
export const DeleteItems = Strict(
  { ids: Type.Optional(Type.Array(Type.String())), filter: Type.Optional(FilterRef) },
  { minProperties: 1, maxProperties: 1, description: "Either `ids` or `filter`." },
);
export type DeleteItems = Static<typeof DeleteItems>;
export const DeleteResult = Type.Object({ deleted: Type.Integer() });
