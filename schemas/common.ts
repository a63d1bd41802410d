import { type Static, type TSchema, Type } from "typebox";

/** An object that refuses fields it does not know. */
export const Strict = <T extends Record<string, TSchema>>(properties: T, options: Record<string, unknown> = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false });

/** One of several string literals, as a JSON Schema enum. */
export const OneOf = <const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) =>
  Type.Unsafe<T[number]>({ type: "string", enum: [...values], ...options });

export const CollectionName = Type.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,62}$",
  description: "1 to 63 characters: a-z, 0-9, _ and -, starting with a letter or a digit.",
});

/** Checked when it is used, not here, so that every faulty id is refused by one code wherever it stands. */
export const ItemId = Type.String({
  description: "1 to 256 Unicode characters; no control characters or lone surrogates; not `.` or `..`.",
});

export const Vector = Type.Union([Type.Array(Type.Number()), Type.String()], {
  description: "An array of numbers, or base64 of little-endian float32.",
});
export type Vector = Static<typeof Vector>;

export const WithVector = Type.Union([Type.Boolean(), OneOf(["base64"] as const)], {
  default: false,
  description: "`true`: an array of numbers; `base64`: of little-endian float32, far quicker to write and to read.",
});
export type WithVector = Static<typeof WithVector>;

export const Image = Type.String({
  description:
    "Base64 of an image file (PNG, JPEG, WebP, GIF, AVIF, TIFF); a `data:image/...;base64,` address is taken too.",
});

export const Payload = Type.Record(Type.String(), Type.Unknown(), {
  description: "Any JSON object, at most 64 KiB as JSON by default.",
});
export type Payload = Static<typeof Payload>;

export const Cursor = Type.String({ description: "Opaque; taken from `nextCursor` of the page before." });

export const Limit = Type.Integer({ minimum: 1, maximum: 10_000, default: 100 });

/** Query string of every list route. */
export const PageQuery = Strict({ limit: Type.Optional(Limit), cursor: Type.Optional(Cursor) });
export type PageQuery = Static<typeof PageQuery>;

/** Body of a request that needs none. */
export const EmptyBody = Strict({});

export const CollectionParams = Strict({ collection: Type.String() });
export const ItemParams = Strict({ collection: Type.String(), id: Type.String() });
