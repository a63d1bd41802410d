import { AttuneError } from "../../errors/index.js";

/** Where the improved embedding goes when the gate has spoken: see {@link FineTuneOptions.promote}. */
export type PromotePolicy = "if-better" | "always" | "never";
export const LOSS_NAMES = ["triplet", "contrastive", "lifted-structured", "n-pair", "info-nce"] as const;
export type LossName = (typeof LOSS_NAMES)[number];

/** Strengths of the changes that make a positive of one item; 0 switches one off. */
export interface AugmentationOptions {
  /** Images are turned by up to this many degrees either way, 0 to 180. @default 15 */
  rotation: number;
  /** Largest standard deviation of a Gaussian blur, in pixels of the encoder's input, 0 to 10. @default 1 */
  blur: number;
  /** Brightness is multiplied by 1 - b to 1 + b, 0 to 1. @default .3 */
  brightness: number;
  /** Contrast, the distance from the mean, is multiplied by 1 - c to 1 + c, 0 to 1. @default .3 */
  contrast: number;
  /** The part of an image's area that a random crop may take away, 0 to .95. @default .4 */
  crop: number;
  /** Share of a text's words that are left out, 0 to .9. @default .15 */
  wordDropout: number;
  /** Share of a text that is left out in one piece, 0 to .9. @default .15 */
  spanDropout: number;
}

/** What a fine-tune can be told. Every field of a task's `options` may be left out; {@link resolveOptions} fills it in. */
export interface FineTuneOptions {
  /** What is trained: a projection head over the stored base vectors, or the encoder's own weights. @default "head" */
  scope: "head" | "encoder";
  /** `auto` tries a short list of recipes and keeps the best on the validation part. @default "triplet" */
  loss: LossName | "auto";
  /**
   * In distance units of the collection's metric, above 0; for `triplet`, `contrastive` and `lifted-structured`.
   * @default the loss's own: see docs/losses.md; under euclidean in units of the median distance of two random items
   */
  margin?: number;
  /**
   * What similarities are divided by, above 0, for `info-nce` and `n-pair`; how smooth the maximum of `lifted-structured` is.
   * @default the loss's own: see docs/losses.md
   */
  temperature?: number;
  /** Where the one negative that each line of a batch brings along comes from, when nobody marked one. @default "index" */
  miner: "index" | "random" | "none";
  /** Which of a batch's negatives an anchor is compared with. @default "all" */
  batchNegatives: "all" | "hard" | "semi-hard";
  /** Passes over the feedback, at most; early stopping may choose fewer. An integer of at least 1. @default 20 (head), 8 (encoder) */
  epochs: number;
  /** Anchors in one training step. An integer of at least 2. @default 64 */
  batchSize: number;
  /** AdamW's rate, above 0. @default 3e-4 (head), that of the encoder's description, else 1e-4 (encoder) */
  learningRate: number;
  /** AdamW's decay, at least 0: of the head's deviation from the identity, or of the encoder's matrices. @default 1 (head), .01 (encoder) */
  weightDecay: number;
  /** Where training starts: the untuned embedding, or the active generation. @default "base" */
  from: "base" | "active";
  /** The gate opens when the lower bound of the mean improvement of the log-rank is above this. @default 0 */
  minGain: number;
  /** The gate closes when more than this share of untouched items' ten neighbours would be replaced, 0 to 1. @default 1 */
  maxDrift: number;
  /** `always` trains and writes even when the gate says no; the others only when it says yes. @default "if-better" */
  promote: PromotePolicy;
  /** What runs the training steps of a head. @default "onnx" */
  engine: "onnx" | "tfjs";

  // For scope "encoder" only.

  /** Which weights are trained. @default "all" */
  parameters: "all" | "last-layers" | "low-rank";
  /** With `last-layers`: how many of the last layers, as the names of weights and nodes tell them apart, at least 1. @default 1 */
  layers: number;
  /** With `low-rank`: rank of the deltas, at least 1. @default 8 */
  rank: number;
  /** With `low-rank`: only matrices whose name, or that of a node that reads them, contains one of these. @default every matrix of a matrix product */
  targets?: string[];
  /** The gradient's norm over all weights is limited to this, above 0. @default 1 */
  gradientClip: number;
  /** Share of the steps in which the rate grows from 0, 0 to 1; after them it falls to 0 along a cosine. @default .1 */
  warmup: number;
  /** Memory that a training step may take, in MiB; where a whole batch would take more it is worked off in parts. @default half of the machine's */
  memoryMb?: number;
  /**
   * What is learnt from: what people said, the items themselves (views of one item are similar, those of different items are not), or both. From
   * the items alone `info-nce` learns more than the default loss, the better the larger the batch. @default "feedback"
   */
  source: "feedback" | "augmentation" | "both";
  /** With source `both`: the weight of the augmentation's loss beside the feedback's, above 0. @default .5 */
  augmentationWeight: number;
  augmentation: AugmentationOptions;
}

/** Options as a task gives them: whatever is left out has its default. */
export type GivenOptions = Partial<Omit<FineTuneOptions, "augmentation">> & {
  augmentation?: Partial<AugmentationOptions>;
};

export const AUGMENTATION_DEFAULTS: Readonly<AugmentationOptions> = {
  rotation: 15,
  blur: 1,
  brightness: 0.3,
  contrast: 0.3,
  crop: 0.4,
  wordDropout: 0.15,
  spanDropout: 0.15,
};

const COMMON = {
  loss: "triplet",
  miner: "index",
  batchNegatives: "all",
  batchSize: 64,
  from: "base",
  minGain: 0,
  maxDrift: 1,
  promote: "if-better",
  engine: "onnx",
  parameters: "all",
  layers: 1,
  rank: 8,
  gradientClip: 1,
  warmup: 0.1,
  source: "feedback",
  augmentationWeight: 0.5,
  augmentation: AUGMENTATION_DEFAULTS,
} as const;

export const HEAD_DEFAULTS: Readonly<FineTuneOptions> = {
  scope: "head",
  ...COMMON,
  epochs: 20,
  learningRate: 3e-4,
  weightDecay: 1,
};

export const ENCODER_DEFAULTS: Readonly<FineTuneOptions> = {
  scope: "encoder",
  ...COMMON,
  epochs: 8,
  learningRate: 1e-4,
  weightDecay: 0.01,
};

/** Options that only one scope has. */
const ENCODER_ONLY = [
  "parameters",
  "layers",
  "rank",
  "targets",
  "gradientClip",
  "warmup",
  "memoryMb",
  "source",
  "augmentationWeight",
  "augmentation",
] as const;

/**
 * Fills in the defaults and refuses what cannot be trained with.
 * @throws invalid_setting
 */
export function resolveOptions(options: GivenOptions): FineTuneOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const defaults = given.scope === "encoder" ? ENCODER_DEFAULTS : HEAD_DEFAULTS;
  const resolved: FineTuneOptions = {
    ...defaults,
    ...given,
    augmentation: { ...AUGMENTATION_DEFAULTS, ...options.augmentation },
  };
  const need = (holds: boolean, name: keyof FineTuneOptions, expected: string) => {
    if (holds) return;
    throw new AttuneError("invalid_setting", `${name} is ${JSON.stringify(resolved[name])}; expected ${expected}`);
  };
  const oneOf = (name: keyof FineTuneOptions, values: readonly string[]) =>
    need(values.includes(resolved[name] as string), name, values.map((value) => JSON.stringify(value)).join(", "));
  const integer = (name: "epochs" | "batchSize" | "layers" | "rank", least: number) =>
    need(Number.isInteger(resolved[name]) && resolved[name] >= least, name, `an integer of at least ${least}`);
  const positive = (name: keyof FineTuneOptions) =>
    need(resolved[name] === undefined || isPositive(resolved[name] as number), name, "a finite number above 0");
  const between = (name: "maxDrift" | "warmup", low: number, high: number) =>
    need(resolved[name] >= low && resolved[name] <= high, name, `a number from ${low} to ${high}`);

  oneOf("scope", ["head", "encoder"]);
  oneOf("loss", [...LOSS_NAMES, "auto"]);
  positive("margin");
  positive("temperature");
  oneOf("miner", ["index", "random", "none"]);
  oneOf("batchNegatives", ["all", "hard", "semi-hard"]);
  integer("epochs", 1);
  integer("batchSize", 2);
  positive("learningRate");
  need(Number.isFinite(resolved.weightDecay) && resolved.weightDecay >= 0, "weightDecay", "a finite number from 0");
  oneOf("from", ["base", "active"]);
  need(Number.isFinite(resolved.minGain), "minGain", "a finite number");
  between("maxDrift", 0, 1);
  oneOf("promote", ["if-better", "always", "never"]);
  oneOf("engine", ["onnx", "tfjs"]);
  oneOf("parameters", ["all", "last-layers", "low-rank"]);
  integer("layers", 1);
  integer("rank", 1);
  positive("gradientClip");
  between("warmup", 0, 1);
  positive("memoryMb");
  oneOf("source", ["feedback", "augmentation", "both"]);
  positive("augmentationWeight");
  checkAugmentation(resolved.augmentation);
  checkScope(resolved, given);
  return resolved;
}

const AUGMENTATION_LIMITS: Readonly<Record<keyof AugmentationOptions, number>> = {
  rotation: 180,
  blur: 10,
  brightness: 1,
  contrast: 1,
  crop: 0.95,
  wordDropout: 0.9,
  spanDropout: 0.9,
};

function checkAugmentation(augmentation: AugmentationOptions): void {
  for (const [name, value] of Object.entries(augmentation)) {
    const most = AUGMENTATION_LIMITS[name as keyof AugmentationOptions];
    if (most !== undefined && value >= 0 && value <= most) continue;
    const expected = most === undefined ? "no such option" : `a number from 0 to ${most}`;
    throw new AttuneError("invalid_setting", `augmentation.${name} is ${JSON.stringify(value)}; expected ${expected}`);
  }
}

function checkScope(resolved: FineTuneOptions, given: Record<string, unknown>): void {
  if (resolved.scope === "encoder") {
    if (resolved.engine === "onnx") return;
    throw new AttuneError(
      "invalid_setting",
      `engine "${resolved.engine}" trains heads only; scope "encoder" runs on "onnx"`,
    );
  }
  const misplaced = ENCODER_ONLY.filter((name) => given[name] !== undefined);
  if (misplaced.length === 0) return;
  const names = misplaced.join(", ");
  throw new AttuneError(
    "invalid_setting",
    `${names}: only for scope "encoder"; got scope "head". Set the scope or leave it out`,
  );
}

function isPositive(value: number): boolean {
  return Number.isFinite(value) && value > 0;
}
