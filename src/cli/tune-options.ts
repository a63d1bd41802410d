import { type Command, Option } from "commander";
import type { FineTuneOptions } from "../client/index.js";
import { integer, names, number } from "./option-parsers.js";

type Augmentation = NonNullable<FineTuneOptions["augmentation"]>;

/** Options of a fine-tune as the command line has them: those of augmentation stand beside the others. */
export type GivenTuneOptions = Omit<FineTuneOptions, "augmentation"> & Augmentation;

const choice = (flags: string, description: string, choices: readonly string[]) =>
  new Option(flags, `${description} (default: ${choices[0]})`).choices(choices);
const parsed = <T>(flags: string, description: string, parser: (text: string) => T) =>
  new Option(flags, description).argParser(parser);

const GROUPS: Readonly<Record<string, readonly Option[]>> = {
  "What is trained:": [
    choice("--scope <scope>", "a head over the stored vectors, or the encoder itself", ["head", "encoder"]),
    choice("--from <start>", "start from the untuned embedding, or from the active generation", ["base", "active"]),
    choice("--parameters <which>", "encoder: which weights", ["all", "last-layers", "low-rank"]),
    parsed("--layers <count>", "with last-layers: how many (default: 1)", integer(1, 1000)),
    parsed("--rank <rank>", "with low-rank: rank of the deltas (default: 8)", integer(1, 4096)),
    parsed("--targets <names>", "with low-rank: only matrices whose name has one of these, comma-separated", names),
  ],
  "How it learns:": [
    choice("--loss <loss>", "what is minimised; auto tries a few recipes", [
      "triplet",
      "contrastive",
      "lifted-structured",
      "n-pair",
      "info-nce",
      "auto",
    ]),
    parsed("--margin <distance>", "of triplet, contrastive and lifted-structured, in distance units", number),
    parsed("--temperature <value>", "of info-nce and n-pair", number),
    choice("--miner <miner>", "where negatives that nobody marked come from", ["index", "random", "none"]),
    choice("--batch-negatives <which>", "negatives of a batch that count", ["all", "hard", "semi-hard"]),
    parsed("--epochs <count>", "passes over the feedback, at most (default: 20; encoder: 8)", integer(1, 10_000)),
    parsed("--batch-size <count>", "anchors of a step (default: 64)", integer(2, 4096)),
    parsed("--learning-rate <rate>", "of AdamW (default: 3e-4; encoder: 1e-4)", number),
    parsed("--weight-decay <decay>", "of AdamW (default: 1; encoder: .01)", number),
    parsed("--gradient-clip <norm>", "encoder: largest norm of the gradient (default: 1)", number),
    parsed("--warmup <share>", "encoder: share of the steps in which the rate grows (default: .1)", number),
    parsed("--memory-mb <MiB>", "encoder: memory of a step (default: half of the machine's)", number),
    choice("--engine <engine>", "what trains a head", ["onnx", "tfjs"]),
    parsed("--seed <seed>", "of everything random (default: 0)", integer(0, 4_294_967_295)),
  ],
  "Learning without labels (scope encoder):": [
    choice("--source <source>", "learn from feedback, from the items themselves, or from both", [
      "feedback",
      "augmentation",
      "both",
    ]),
    parsed("--augmentation-weight <weight>", "with both: weight of the augmentation's loss (default: .5)", number),
    parsed("--rotation <degrees>", "images are turned by up to this much (default: 15)", number),
    parsed("--blur <pixels>", "largest standard deviation of a blur (default: 1)", number),
    parsed("--brightness <share>", "largest change of brightness (default: .3)", number),
    parsed("--contrast <share>", "largest change of contrast (default: .3)", number),
    parsed("--crop <share>", "largest part of the area that is cut away (default: .4)", number),
    parsed("--word-dropout <share>", "share of a text's words that are left out (default: .15)", number),
    parsed("--span-dropout <share>", "share of a text that is left out in one piece (default: .15)", number),
  ],
  "When it goes live:": [
    parsed("--min-gain <gain>", "what the lower bound of the improvement must exceed (default: 0)", number),
    parsed("--max-drift <share>", "largest share of unrelated neighbours that may change (default: 1)", number),
    choice("--promote <when>", "when the result goes live", ["if-better", "always", "never"]),
    new Option("--dry-run", "train and judge, print the report, keep nothing"),
  ],
};

/** Adds every option of a fine-tune, in groups. */
export function addTuneOptions(command: Command): Command {
  for (const [heading, options] of Object.entries(GROUPS)) {
    for (const option of options) command.addOption(option.helpGroup(heading));
  }
  return command;
}

/** The options as a request has them. */
export function fineTuneOptions(given: GivenTuneOptions): FineTuneOptions {
  const { rotation, blur, brightness, contrast, crop, wordDropout, spanDropout, ...rest } = given;
  const augmentation = withoutUndefined({ rotation, blur, brightness, contrast, crop, wordDropout, spanDropout });
  return Object.keys(augmentation).length === 0 ? rest : { ...rest, augmentation };
}

function withoutUndefined(values: { [K in keyof Augmentation]: Augmentation[K] | undefined }): Augmentation {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
