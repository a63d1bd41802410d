import { type Static, Type } from "typebox";
import { Strict } from "./common.js";
import { FineTuneMetrics } from "./fine-tune.js";

export const Generation = Type.Object({
  generation: Type.Integer(),
  active: Type.Boolean(),
  createdAt: Type.String(),
  fineTune: Type.Optional(Type.String({ description: "The job that made it." })),
  scope: Type.Union([Type.Literal("head"), Type.Literal("encoder"), Type.Null()], {
    description: "What was trained: a head, the encoder, or nothing (generation 0).",
  }),
  loss: Type.Optional(Type.String()),
  metrics: Type.Optional(FineTuneMetrics),
  checksum: Type.Optional(Type.String({ description: "SHA-256 of its model in hexadecimal." })),
  items: Type.Integer(),
  bytes: Type.Integer(),
});
export type Generation = Static<typeof Generation>;

export const GenerationList = Type.Object({ generations: Type.Array(Generation) });
export type GenerationList = Static<typeof GenerationList>;
export const GenerationParams = Strict({ collection: Type.String(), generation: Type.Integer({ minimum: 0 }) });
