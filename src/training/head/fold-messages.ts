import type { ErrorCode } from "../../errors/index.js";
import type { MinedEntries } from "../miners/hard-negative-miner.js";
import type { FineTuneTask } from "../task/fine-tune-task.js";
import type { TrainedHead } from "./training-run.js";

/** What a thread that trains folds is started with. */
export interface FoldWorkerStart {
  task: FineTuneTask;
  /** Negatives that were mined already; undefined where the miner has none to look for. */
  mined?: MinedEntries;
}

/** To the thread: one fold at a time; `cancel` ends the one at hand. */
export type FoldRequest = { kind: "train"; recipe: number; fold: number } | { kind: "cancel" } | { kind: "close" };

/** From the thread. */
export type FoldReply =
  | { kind: "steps"; made: number; dropped: number }
  | { kind: "trained"; head: TrainedHead }
  | { kind: "failed"; code?: ErrorCode; message: string };
