import { type Static, Type } from "typebox";
import { OneOf, Strict } from "./common.js";

/** Options of a fine-tune; every one has a default, explained in docs/tuning.md. */
export const FineTuneOptions = Strict({
  scope: Type.Optional(OneOf(["head"] as const, { default: "head" })),
  loss: Type.Optional(OneOf(["triplet"] as const, { default: "triplet" })),
  margin: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: "In distance units." })),
  epochs: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  batchSize: Type.Optional(Type.Integer({ minimum: 2, maximum: 4096 })),
  learningRate: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
  seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
  from: Type.Optional(
    OneOf(["base", "active"] as const, {
      default: "base",
      description: "Where training starts: identity, or the active head.",
    }),
  ),
  minGain: Type.Optional(
    Type.Number({ default: 0, description: "What the lower bound of the improvement must exceed." }),
  ),
  maxDrift: Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: 1 })),
  promote: Type.Optional(OneOf(["if-better", "always", "never"] as const, { default: "if-better" })),
});
export type FineTuneOptions = Static<typeof FineTuneOptions>;

export const JobStatus = OneOf([
  "queued",
  "running",
  "promoted",
  "ready",
  "rejected",
  "failed",
  "cancelled",
  "interrupted",
] as const);
export type JobStatus = Static<typeof JobStatus>;

export const JobPhase = OneOf(["training", "evaluating", "reEmbedding", "indexing", "catchingUp"] as const);
export type JobPhase = Static<typeof JobPhase>;

export const Progress = Type.Object({
  done: Type.Number(),
  total: Type.Number(),
  unit: Type.String(),
  rate: Type.Optional(Type.Number({ description: "Units a second." })),
  etaMs: Type.Optional(Type.Number()),
});
export type Progress = Static<typeof Progress>;

const Figures = Type.Record(Type.String(), Type.Number());

export const FineTuneMetrics = Type.Object({
  before: Figures,
  after: Figures,
  improvement: Type.Object(
    { mean: Type.Number(), low: Type.Number(), high: Type.Number() },
    { description: "Of the mean natural log of the positives' rank; positive is better. low and high bound 90%." },
  ),
  drift: Type.Number({ description: "Mean share of replaced neighbours in the top 10 of items no feedback touches." }),
  anchors: Type.Integer({ description: "Anchors that the gate judged by." }),
  groups: Type.Integer({ description: "Components of items known to be similar." }),
  contradictions: Type.Integer({ description: "Pairs left out because the rest of the feedback says the opposite." }),
  judgedBy: OneOf(["similar", "dissimilar", "augmentation"] as const),
});
export type FineTuneMetrics = Static<typeof FineTuneMetrics>;

export const LossPoint = Type.Object({
  step: Type.Number(),
  loss: Type.Number(),
  validation: Type.Optional(Type.Number()),
});

export const Job = Type.Object({
  id: Type.String(),
  kind: OneOf(["fine-tune", "activation"] as const),
  status: JobStatus,
  phase: Type.Optional(JobPhase),
  progress: Progress,
  options: FineTuneOptions,
  metrics: Type.Optional(FineTuneMetrics),
  lossCurve: Type.Array(LossPoint),
  generation: Type.Optional(Type.Integer()),
  reason: Type.Optional(Type.String()),
  timings: Type.Record(Type.String(), Type.Number(), { description: "Milliseconds of each phase." }),
  createdAt: Type.String(),
});
export type Job = Static<typeof Job>;

export const JobStarted = Type.Object({ id: Type.String(), status: JobStatus });
export type JobStarted = Static<typeof JobStarted>;

export const JobList = Type.Object({ fineTunes: Type.Array(Job), nextCursor: Type.Optional(Type.String()) });
export type JobList = Static<typeof JobList>;
export const JobParams = Strict({ collection: Type.String(), id: Type.String() });
