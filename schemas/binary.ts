import { type Static, Type } from "typebox";
import { ItemId, Payload, Strict } from "./common.js";
import { Query } from "./query.js";

const { k, efSearch, exact, filter, minScore, withPayload, withVector } = Query.properties;

/** The JSON header of a binary body of queries: what holds for each of its vectors. */
export const BinaryQueryHeader = Strict({ k, efSearch, exact, filter, minScore, withPayload, withVector });
export type BinaryQueryHeader = Static<typeof BinaryQueryHeader>;

/** The JSON header of a binary body of items: one id, and one payload or null, for each of its vectors. */
export const BinaryItemsHeader = Strict({
  ids: Type.Array(ItemId),
  payloads: Type.Optional(Type.Array(Type.Union([Payload, Type.Null()]))),
});
export type BinaryItemsHeader = Static<typeof BinaryItemsHeader>;
