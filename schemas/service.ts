import { type Static, Type } from "typebox";

export const Health = Type.Object({ status: Type.Literal("ok") });
export type Health = Static<typeof Health>;

export const Readiness = Type.Object({
  status: Type.Union([Type.Literal("ready"), Type.Literal("starting")]),
  version: Type.String(),
  provider: Type.String({ description: "The execution provider that encoders run on." }),
  availableProviders: Type.Array(Type.String()),
  queryCache: Type.Object(
    {
      entries: Type.Integer(),
      bytes: Type.Integer(),
      maxBytes: Type.Integer(),
      hits: Type.Integer(),
      misses: Type.Integer(),
    },
    { description: "Embeddings of recent query texts; `hits` and `misses` since the start." },
  ),
  collections: Type.Object({ open: Type.Integer(), failed: Type.Record(Type.String(), Type.String()) }),
});
export type Readiness = Static<typeof Readiness>;
