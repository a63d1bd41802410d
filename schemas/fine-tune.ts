import { type Static, type TSchema, Type } from "typebox";
import { OneOf, Strict } from "./common.js";
import { ShownReference } from "./feedback.js";

const Above0 = (description: string, options: Record<string, unknown> = {}) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0, description, ...options }));
const Share = (description: string, options: Record<string, unknown> = {}) =>
  Type.Optional(Type.Number({ minimum: 0, maximum: 1, description, ...options }));
const Strength = (maximum: number, byDefault: number, description: string) =>
  Type.Optional(Type.Number({ minimum: 0, maximum, default: byDefault, description }));
const Choice = <const T extends readonly string[]>(values: T, byDefault: T[number], description: string) =>
  Type.Optional(OneOf(values, { default: byDefault, description }));

export const LossName = OneOf(["triplet", "contrastive", "lifted-structured", "n-pair", "info-nce"] as const);
export type LossName = Static<typeof LossName>;

/** How strongly an item is changed to make a positive of it; 0 switches a change off. */
export const Augmentation = Strict({
  rotation: Strength(180, 15, "Images are turned by up to this many degrees either way."),
  blur: Strength(10, 1, "Largest standard deviation of a Gaussian blur, in pixels of the encoder's input."),
  brightness: Strength(1, 0.3, "Brightness is multiplied by 1 - b to 1 + b."),
  contrast: Strength(1, 0.3, "Contrast is multiplied by 1 - c to 1 + c."),
  crop: Strength(0.95, 0.4, "The part of an image's area that a random crop may take away."),
  wordDropout: Strength(0.9, 0.15, "Share of a text's words that are left out."),
  spanDropout: Strength(0.9, 0.15, "Share of a text that is left out in one piece."),
});

/** What is trained, how, and when the result goes live. */
const properties = {
  scope: Choice(
    ["head", "encoder"],
    "head",
    "What is trained: a projection over the stored vectors, or the encoder's own weights.",
  ),
  loss: Choice(
    ["triplet", "contrastive", "lifted-structured", "n-pair", "info-nce", "auto"],
    "triplet",
    "docs/losses.md compares them. `auto` tries a short list of recipes and keeps the best on the validation part.",
  ),
  margin: Above0(
    "In distance units, for `triplet`, `contrastive` and `lifted-structured`; the default is the loss's own.",
  ),
  temperature: Above0(
    "What similarities are divided by, for `info-nce`, `n-pair` and `lifted-structured`; the default is the loss's own.",
  ),
  miner: Choice(
    ["index", "random", "none"],
    "index",
    "Where the negative that each line of a batch brings along comes from when nobody marked one: the neighbours in the index, anywhere, or nowhere.",
  ),
  batchNegatives: Choice(
    ["all", "hard", "semi-hard"],
    "all",
    "Which of a batch's negatives an anchor is compared with.",
  ),
  epochs: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10_000,
      description: "Passes over the feedback, at most; by default 20, with scope `encoder` 8.",
    }),
  ),
  batchSize: Type.Optional(
    Type.Integer({ minimum: 2, maximum: 4096, default: 64, description: "Anchors in one step." }),
  ),
  learningRate: Above0(
    "Of AdamW; by default .0003, with scope `encoder` .0001, of the built-in encoders `use-lite` .0003 and `patch-cnn` .001.",
    { maximum: 1 },
  ),
  weightDecay: Type.Optional(
    Type.Number({
      minimum: 0,
      description:
        "Of AdamW: of the head's deviation from the identity (1 by default), or of the encoder's matrices (.01).",
    }),
  ),
  seed: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 4_294_967_295, default: 0, description: "Of everything random." }),
  ),
  from: Choice(["base", "active"], "base", "Where training starts: the untuned embedding, or the active generation."),
  minGain: Type.Optional(
    Type.Number({ default: 0, description: "What the lower bound of the improvement must exceed." }),
  ),
  maxDrift: Share("The largest share of replaced neighbours of items no feedback touches that is let through.", {
    default: 1,
  }),
  promote: Choice(
    ["if-better", "always", "never"],
    "if-better",
    "When the result goes live; with `never`, one that the gate lets through is kept as a generation that can be activated.",
  ),
  engine: Choice(["onnx", "tfjs"], "onnx", "What runs the training of a head: ONNX Runtime or TensorFlow.js."),
  parameters: Choice(["all", "last-layers", "low-rank"], "all", "Scope `encoder`: which weights are trained."),
  layers: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 1,
      description: "With `last-layers`: how many of the last groups of weights.",
    }),
  ),
  rank: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 4096, default: 8, description: "With `low-rank`: rank of the deltas." }),
  ),
  targets: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 100,
      description:
        "With `low-rank`: only matrices whose name contains one of these; by default every matrix of a product.",
    }),
  ),
  gradientClip: Above0("Scope `encoder`: the gradient's norm over all weights is limited to this.", { default: 1 }),
  warmup: Share(
    "Scope `encoder`: share of the steps in which the rate grows from 0; after them it falls along a cosine.",
    { default: 0.1 },
  ),
  memoryMb: Above0(
    "Scope `encoder`: memory that a step may take, in MiB; a batch that takes more is worked off in parts. By default half of the machine's.",
  ),
  source: Choice(
    ["feedback", "augmentation", "both"],
    "feedback",
    "Scope `encoder`: what is learnt from: what people said, the items themselves, or both.",
  ),
  augmentationWeight: Above0("With `both`: weight of the augmentation's loss beside the feedback's.", {
    default: 0.5,
  }),
  augmentation: Type.Optional(Augmentation),
} satisfies Record<string, TSchema>;

/** What an automatic fine-tune can be told; every option has a default, explained in docs/tuning.md. */
export const TuningOptions = Strict(properties);
export type TuningOptions = Static<typeof TuningOptions>;

/** Options of a fine-tune that is asked for. */
export const FineTuneOptions = Strict(
  {
    ...properties,
    dryRun: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Train and judge, and keep nothing: the job ends as `ready` or `rejected`, with its report.",
      }),
    ),
  },
  { examples: [{ loss: "auto" }, { scope: "encoder", parameters: "low-rank", rank: 16, dryRun: true }] },
);
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
  etaMs: Type.Optional(Type.Number({ description: "To the end of the phase." })),
});
export type Progress = Static<typeof Progress>;

export const FineTunePlan = Type.Object(
  {
    steps: Type.Integer({ description: "Of all trainings together, at most." }),
    parameters: Type.Integer({ description: "Numbers that are trained." }),
    parts: Type.Integer({ description: "Parts that each batch is worked off in, so that it fits into memory." }),
    memoryBytes: Type.Integer({ description: "Peak memory of the training process that a step is expected to reach." }),
    provider: Type.String({ description: "ONNX Runtime's execution provider, or TensorFlow.js's backend." }),
  },
  { description: "Stated before the first step." },
);
export type FineTunePlan = Static<typeof FineTunePlan>;

const Figures = Type.Record(Type.String(), Type.Number());

const logRank = "Mean natural logarithm of the positives' rank (see rankedAmong); smaller is better.";

export const LabelReport = Type.Object({
  label: Type.String(),
  anchors: Type.Integer(),
  before: Type.Number({ description: logRank }),
  after: Type.Number(),
});
export type LabelReport = Static<typeof LabelReport>;

export const AnchorReport = Type.Object({
  anchor: ShownReference,
  before: Type.Number({ description: logRank }),
  after: Type.Number(),
});
export type AnchorReport = Static<typeof AnchorReport>;

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
  rankedAmong: Type.Optional(
    Type.Integer({
      description: "Items that ranks were counted among: all of them up to 32,768 for a head, else so many at random.",
    }),
  ),
  judgedBy: OneOf(["similar", "dissimilar", "augmentation"] as const, {
    description: "What was judged: positives, items marked dissimilar, or whether a changed item finds itself.",
  }),
  labels: Type.Optional(
    Type.Array(LabelReport, {
      description: "Label by label, where labels were given; most anchors first, at most 100.",
    }),
  ),
  better: Type.Optional(Type.Array(AnchorReport, { description: "The anchors that gained most, at most 10." })),
  worse: Type.Optional(Type.Array(AnchorReport, { description: "The anchors that lost most, at most 10." })),
  finalImprovement: Type.Optional(
    Type.Number({ description: "Gain of the log-rank of what was written, over all anchors." }),
  ),
});
export type FineTuneMetrics = Static<typeof FineTuneMetrics>;

export const LossPoint = Type.Object({
  step: Type.Number(),
  loss: Type.Number(),
  validation: Type.Optional(Type.Number()),
});

export const Recipe = Type.Object(
  {
    loss: LossName,
    learningRate: Type.Number(),
    margin: Type.Optional(Type.Number()),
    temperature: Type.Optional(Type.Number()),
  },
  { description: "What was trained with; with loss `auto`, what was best on the validation part." },
);

export const TriedRecipe = Type.Object({
  loss: LossName,
  learningRate: Type.Number(),
  validation: Type.Number({ description: "Mean gain of the log-rank on the validation part." }),
});

export const IndexSwitch = Type.Object(
  {
    kept: Type.Boolean({
      description: "Whether the links of the graph before were kept, and a new graph is built in the background.",
    }),
    reason: Type.Optional(Type.String({ description: "Why they were not." })),
    recallBefore: Type.Optional(
      Type.Number({ description: "recall@10 of a sample of items, in the generation that served until then." }),
    ),
    recall: Type.Optional(Type.Number({ description: "The same in the kept graph with the new vectors." })),
    breadth: Type.Optional(
      Type.Number({ description: "What efSearch is multiplied by until the new graph is there, to find as much." }),
    ),
  },
  { description: "How a generation's index came to be; left out where it was at hand." },
);
export type IndexSwitch = Static<typeof IndexSwitch>;

export const Job = Type.Object({
  id: Type.String(),
  kind: OneOf(["fine-tune", "activation"] as const),
  status: JobStatus,
  phase: Type.Optional(JobPhase),
  progress: Progress,
  options: FineTuneOptions,
  plan: Type.Optional(FineTunePlan),
  metrics: Type.Optional(FineTuneMetrics),
  recipe: Type.Optional(Recipe),
  tried: Type.Optional(Type.Array(TriedRecipe, { description: "With loss `auto`: every recipe that was tried." })),
  peakMemoryBytes: Type.Optional(Type.Integer({ description: "Of the training process, measured." })),
  lossCurve: Type.Array(LossPoint),
  generation: Type.Optional(Type.Integer()),
  reason: Type.Optional(Type.String()),
  resumable: Type.Optional(
    Type.Boolean({ description: "The job was cut off, and can be put back to work from where it was." }),
  ),
  resumed: Type.Optional(Type.Integer({ description: "How often it was put back to work." })),
  index: Type.Optional(IndexSwitch),
  timings: Type.Record(Type.String(), Type.Number(), {
    description:
      "Milliseconds of each phase. `swapMs`: from the new vectors to the first query that sees them. `rebuildMs` appears after the end, when the new graph, built in the background, has taken the place of the kept one.",
  }),
  createdAt: Type.String(),
});
export type Job = Static<typeof Job>;

export const JobStarted = Type.Object({ id: Type.String(), status: JobStatus });
export type JobStarted = Static<typeof JobStarted>;

export const JobList = Type.Object({ fineTunes: Type.Array(Job), nextCursor: Type.Optional(Type.String()) });
export type JobList = Static<typeof JobList>;
export const JobParams = Strict({ collection: Type.String(), id: Type.String() });
