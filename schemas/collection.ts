import { type Static, Type } from "typebox";
import { CollectionName, OneOf, Strict } from "./common.js";
import { TuningOptions } from "./fine-tune.js";

export const Modality = OneOf(["text", "image", "vector"] as const);
export type Modality = Static<typeof Modality>;

export const MetricName = OneOf(["cosine", "euclidean"] as const, { default: "cosine" });

export const IndexSettings = Strict({
  m: Type.Optional(Type.Integer({ minimum: 2, maximum: 100, default: 16 })),
  efConstruction: Type.Optional(Type.Integer({ minimum: 4, maximum: 4096, default: 200 })),
  efSearch: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 64 })),
  shards: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 1,
      description:
        "Threads that hold a part of the points each. A build and a single search use them all; searches take more processor time in total.",
    }),
  ),
});

export const AutoTune = Type.Union([
  Strict({
    minFeedback: Type.Integer({
      minimum: 1,
      description: "A fine-tune starts when this much feedback has come since the last job began.",
    }),
    ...TuningOptions.properties,
  }),
  Type.Null(),
]);
export type AutoTune = Static<typeof AutoTune>;

export const KeepGenerations = Type.Integer({
  minimum: 1,
  maximum: 100,
  default: 3,
  description: "How many earlier generations are kept for rollback.",
});

export const CreateCollection = Strict(
  {
    modality: Modality,
    encoder: Type.Optional(
      Type.String({
        description:
          "`use-lite` (default for text), `patch-cnn` (default for images), `hf:ORG/REPO[@REVISION]`, or `file:PATH`.",
      }),
    ),
    prompts: Type.Optional(
      Strict(
        { query: Type.Optional(Type.String()), item: Type.Optional(Type.String()) },
        { description: "Put before texts; `query` alone for images, where the encoder takes texts too (CLIP)." },
      ),
    ),
    dimensions: Type.Optional(Type.Integer({ minimum: 1, description: "For `vector` collections only." })),
    metric: Type.Optional(MetricName),
    index: Type.Optional(IndexSettings),
    autoTune: Type.Optional(AutoTune),
    keepGenerations: Type.Optional(KeepGenerations),
  },
  {
    examples: [
      { modality: "text" },
      { modality: "image" },
      { modality: "vector", dimensions: 512, metric: "euclidean" },
    ],
  },
);
export type CreateCollection = Static<typeof CreateCollection>;

export const PatchCollection = Strict(
  {
    index: Type.Optional(
      Strict({ efSearch: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })) }, { minProperties: 1 }),
    ),
    autoTune: Type.Optional(AutoTune),
    keepGenerations: Type.Optional(KeepGenerations),
  },
  { minProperties: 1 },
);
export type PatchCollection = Static<typeof PatchCollection>;

/** Settings with every default filled in. */
export const CollectionSettings = Type.Object({
  modality: Modality,
  encoder: Type.Optional(Type.String()),
  prompts: Type.Optional(Type.Object({ query: Type.Optional(Type.String()), item: Type.Optional(Type.String()) })),
  dimensions: Type.Integer(),
  metric: MetricName,
  index: Type.Object({
    m: Type.Integer(),
    efConstruction: Type.Integer(),
    efSearch: Type.Integer(),
    shards: Type.Integer(),
  }),
  autoTune: AutoTune,
  keepGenerations: Type.Integer(),
});
export type CollectionSettings = Static<typeof CollectionSettings>;

export const CollectionStatus = Type.Object({
  items: Type.Integer(),
  feedback: Type.Object({
    pairs: Type.Integer(),
    triplets: Type.Integer(),
    labels: Type.Integer(),
    sinceFineTune: Type.Integer(),
  }),
  activeGeneration: Type.Integer(),
  encoder: Type.Optional(
    Type.Object({
      id: Type.String(),
      provider: Type.String(),
      dimensions: Type.Integer(),
      maxTokens: Type.Optional(Type.Integer()),
    }),
  ),
  index: Type.Object({
    points: Type.Integer(),
    tombstones: Type.Integer(),
    lag: Type.Integer({ description: "Acknowledged items not in the graph yet; they are searched exactly." }),
    provisional: Type.Boolean({
      description:
        "After a switch of generations the graph has the links of the one before, until a new one is built in the background; searches are wider meanwhile.",
    }),
  }),
  bytesOnDisk: Type.Integer(),
  bytesInMemory: Type.Integer({
    description: "Of the index that serves: links, vectors, and rows that wait for the graph (estimate).",
  }),
});
export type CollectionStatus = Static<typeof CollectionStatus>;

export const CollectionInfo = Type.Object({
  name: CollectionName,
  createdAt: Type.String(),
  ...CollectionSettings.properties,
  status: CollectionStatus,
});
export type CollectionInfo = Static<typeof CollectionInfo>;

export const CollectionList = Type.Object({
  collections: Type.Array(CollectionInfo),
  nextCursor: Type.Optional(Type.String()),
});
export type CollectionList = Static<typeof CollectionList>;
