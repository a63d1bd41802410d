import type { ShownReference } from "../../../schemas/index.js";
import type { AnchorReport, FineTuneResult } from "../../training/index.js";
import type { StoredJob } from "../collection-state.js";
import { showReference } from "../feedback/feedback-reference.js";
import { type FineTuneSnapshot, readIds } from "./job-folder.js";

/** What a job shows of the result of its training: anchors by the id of their item, or by the content they are. */
export async function reportOf(
  result: FineTuneResult,
  { extra }: FineTuneSnapshot,
  folder: string,
  collection: string,
): Promise<Pick<StoredJob, "metrics" | "lossCurve" | "recipe" | "tried" | "peakMemoryBytes">> {
  const { metrics, lossCurve, recipe, tried, peakMemoryBytes } = result;
  const { better, worse, ...figures } = metrics;
  const ids = better === undefined && worse === undefined ? [] : await readIds(folder);
  const shown = (anchors: AnchorReport[]) =>
    anchors.flatMap(({ anchor, before, after }) => {
      const reference = ids[anchor] ?? extra[anchor - ids.length];
      return reference === undefined ? [] : [{ anchor: show(reference), before, after }];
    });
  const show = (reference: string | FineTuneSnapshot["extra"][number]): ShownReference =>
    typeof reference === "string" ? reference : showReference(reference, collection);
  return {
    metrics: {
      ...figures,
      before: { ...figures.before },
      after: { ...figures.after },
      ...(better === undefined ? {} : { better: shown(better) }),
      ...(worse === undefined ? {} : { worse: shown(worse) }),
    },
    lossCurve,
    recipe,
    ...(tried === undefined ? {} : { tried }),
    ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }),
  };
}
