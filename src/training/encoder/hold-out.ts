import { AttuneError } from "../../errors/index.js";
import { randomStream, STREAMS } from "../context.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import { restrictLines, type TrainingLine } from "../feedback/training-lines.js";
import { assignFolds, FOLDS } from "../gate/folds.js";
import { assertEnoughItems, type Judgement, judgements } from "../gate/judgement.js";
import { samplePositions } from "../rows/base-rows.js";
import type { JudgedBy } from "../task/fine-tune-task.js";
import { ENCODER_STREAMS, type EncoderContext } from "./encoder-context.js";

/** Each look while training encodes the anchors of the validation part and their targets: so few of them. */
const VALIDATION_ANCHORS = 256;
const VALIDATION_TARGETS = 2;
/** Views that are judged when there is no feedback. */
const JUDGED_VIEWS = 1_000;

/** What a training may learn from. */
export interface Known {
  graph: FeedbackGraph;
  lines: readonly TrainingLine[];
  /** Items that views are made of. */
  items: readonly number[];
}

/** What is known and what is held out: a fifth judges, a fifth stops the training, the rest is learnt from. */
export interface HoldOut {
  judgedBy: JudgedBy;
  known: Known;
  validation: Judgement[];
  heldOut: Judgement[];
}

/** All that can be learnt from, for the last training. */
export function everything({ graph, lines, labels }: EncoderContext): Known {
  return { graph, lines, items: Array.from(labels, (_, item) => item) };
}

/**
 * Splits a job's feedback, or, where it learns from augmentation alone, its items. Held-out views become contents of the context.
 * @throws invalid_setting where there are too few items to judge by
 */
export async function holdOut(context: EncoderContext): Promise<HoldOut> {
  return context.options.source === "augmentation" ? holdOutItems(context) : holdOutFeedback(context);
}

function holdOutFeedback(context: EncoderContext): HoldOut {
  const { graph, anchors, task, judgedBy } = context;
  const foldOf = assignFolds(graph, anchors, randomStream(task.seed, STREAMS.folds));
  const isHidden = (item: number) => foldOf.get(item) === 0 || foldOf.get(item) === 1;
  const judgedIn = (fold: number) => {
    const chosen = anchors.filter((anchor) => foldOf.get(anchor) === fold);
    return judgements(graph, chosen, judgedBy, randomStream(task.seed, STREAMS.judgements));
  };
  const known = graph.without(isHidden);
  return {
    judgedBy,
    known: {
      graph: known,
      lines: restrictLines(context.lines, known),
      items: everything(context).items.filter((item) => !isHidden(item)),
    },
    validation: fewer(judgedIn(1), context),
    heldOut: judgedIn(0),
  };
}

function fewer(judged: readonly Judgement[], { task }: EncoderContext): Judgement[] {
  const positions = samplePositions(
    judged.length,
    VALIDATION_ANCHORS,
    randomStream(task.seed, ENCODER_STREAMS.holdOut),
  );
  return Array.from(positions, (position) => judged[position] as Judgement).map(({ anchor, targets }) => ({
    anchor,
    targets: targets.slice(0, VALIDATION_TARGETS),
  }));
}

async function holdOutItems(context: EncoderContext): Promise<HoldOut> {
  const { graph, task, labels } = context;
  if (context.encoderTask.active !== undefined && context.options.from === "base") {
    throw new AttuneError(
      "invalid_setting",
      'The active generation has a tuned encoder, which views of items cannot be compared by in a training from the base: set from: "active"',
    );
  }
  assertEnoughItems(labels.length);
  const order = randomStream(task.seed, ENCODER_STREAMS.holdOut).shuffle([...everything(context).items]);
  const part = Math.floor(order.length / FOLDS);
  const hidden = new Set(order.slice(0, 2 * part));
  const known = graph.without((item) => hidden.has(item));
  const views = await judgeViews(context, order.slice(0, Math.min(part, JUDGED_VIEWS)));
  const validationViews = await judgeViews(context, order.slice(part, part + Math.min(part, VALIDATION_ANCHORS)));
  return {
    judgedBy: "augmentation",
    known: { graph: known, lines: [], items: order.slice(2 * part).sort((a, b) => a - b) },
    validation: validationViews,
    heldOut: views,
  };
}

/** A view of each item as the query, the item itself as what it should find. */
async function judgeViews({ contents, options, task }: EncoderContext, items: readonly number[]): Promise<Judgement[]> {
  const random = randomStream(task.seed, ENCODER_STREAMS.views);
  const judged: Judgement[] = [];
  for (const item of items) {
    const view = await contents.augment(item, options.augmentation, random);
    judged.push({ anchor: contents.addView(view), targets: [item] });
  }
  return judged;
}
