import { type FineTuneContext, randomStream, STREAMS } from "../context.js";
import { type BaseRows, samplePositions, sampleRows } from "../rows/base-rows.js";
import { MemoryRows, RowsAt } from "../rows/row-files.js";
import { type Field, wholeCollection } from "./judge.js";
import { lowerBound } from "./ranking.js";

/**
 * Items that ranks are counted among, at most. Each one costs a product with every head and every anchor, so judging among more would
 * take longer than all the rest of a fine-tune; the gain is a mean over anchors, whose spread is far wider than what sampling adds (see
 * docs/decisions/0006).
 */
const RANKED_AMONG = 32_768;
/** Items that early stopping ranks among, instead of the whole collection. */
const VALIDATION_FIELD = 1_024;
/** Items that no feedback touches whose neighbours are compared. */
const DRIFT_SAMPLE = 200;

/** A random choice of items to rank among while training. */
export function validationField({ base, task }: FineTuneContext): Field {
  const random = randomStream(task.seed, STREAMS.sample);
  const { rows, positions } = sampleRows(base, base.dimensions, VALIDATION_FIELD, random);
  return { rows: new MemoryRows(rows, base.dimensions), positionOf: placesOf(positions) };
}

/** What the gate ranks among: all items of a collection, or the same random choice of them for the same seed. */
export function judgingField(base: BaseRows, seed: number): Field {
  if (base.count <= RANKED_AMONG) return wholeCollection(base);
  const positions = samplePositions(base.count, RANKED_AMONG, randomStream(seed, STREAMS.field));
  return { rows: new RowsAt(base, positions), positionOf: placesOf(positions) };
}

/** The place of an item in an ascending list of them, -1 where it is none. */
function placesOf(positions: Uint32Array): Field["positionOf"] {
  return (item) => {
    const place = lowerBound(positions, item);
    return positions[place] === item ? place : -1;
  };
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
