import { type Static, Type } from "typebox";
import { OneOf, Strict } from "./common.js";

export const CreateEmbeddings = Strict(
  {
    input: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]),
    model: Type.String({ description: "A collection's name (its active generation) or an encoder's." }),
    encoding_format: Type.Optional(OneOf(["float", "base64"] as const, { default: "float" })),
    user: Type.Optional(Type.String({ description: "Accepted and ignored, as OpenAI clients may send it." })),
  },
  { examples: [{ model: "use-lite", input: ["a cat sleeps on the sofa"] }] },
);
export type CreateEmbeddings = Static<typeof CreateEmbeddings>;

export const Embeddings = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(
    Type.Object({
      object: Type.Literal("embedding"),
      index: Type.Integer(),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()]),
    }),
  ),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
});
export type Embeddings = Static<typeof Embeddings>;
