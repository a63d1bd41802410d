import type { Engine } from "../engines/engine.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import type { BaseRows } from "../rows/base-rows.js";
import type { FineTuneOptions } from "../task/options.js";
import { mineHardNegatives } from "./hard-negative-miner.js";
import { type NegativeMiner, noMiner, RandomMiner } from "./negative-miner.js";

export type { NegativeMiner } from "./negative-miner.js";

/** The miner of a name, for these lines; `index` scans the collection now. */
export async function openMiner(
  name: FineTuneOptions["miner"],
  engine: Engine,
  base: BaseRows,
  lines: readonly TrainingLine[],
  pause: () => Promise<void>,
): Promise<NegativeMiner> {
  if (name === "none") return noMiner;
  if (name === "random") return new RandomMiner(base.count);
  return mineHardNegatives(engine, base, lines, pause);
}
