import { type FineTuneContext, randomStream, STREAMS } from "../context.js";
import { sampleRows } from "../rows/base-rows.js";
import { MemoryRows } from "../rows/row-files.js";
import type { Field } from "./judge.js";

/** Items that early stopping ranks among, instead of the whole collection. */
const VALIDATION_FIELD = 1_024;
/** Items that no feedback touches whose neighbours are compared. */
const DRIFT_SAMPLE = 200;

/** A random choice of items to rank among while training. */
export function validationField({ base, task }: FineTuneContext): Field {
  const random = randomStream(task.seed, STREAMS.sample);
  const { rows, positions } = sampleRows(base, base.dimensions, VALIDATION_FIELD, random);
  const placeOf = new Map(Array.from(positions, (item, place) => [item, place]));
  return { rows: new MemoryRows(rows, base.dimensions), positionOf: (item) => placeOf.get(item) ?? -1 };
}

/** A random choice of items that no feedback names. */
export function untouchedItems({ base, graph, task }: FineTuneContext): number[] {
  const random = randomStream(task.seed, STREAMS.untouched);
  const chosen = new Set<number>();
  for (let tries = 0; tries < 20 * DRIFT_SAMPLE && base.count > 0 && chosen.size < DRIFT_SAMPLE; tries++) {
    const item = random.integer(base.count);
    if (graph.componentOf(item) < 0) chosen.add(item);
  }
  return [...chosen];
}
