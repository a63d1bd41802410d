import type { ErrorCode } from "../../errors/index.js";
import type { MinedEntries } from "../miners/hard-negative-miner.js";
import type { FineTuneTask } from "../task/fine-tune-task.js";
import type { HeadJob, HeadJobResult } from "./head-jobs.js";

/** What a thread that trains and judges heads goes by. */
export interface LaneStart {
  task: FineTuneTask;
  /** Negatives that were mined already; undefined where the miner has none to look for. */
  mined?: MinedEntries;
}

/** To the thread: one job at a time; `close` gives up the one at hand. */
export type LaneRequest = { kind: "start"; start: LaneStart } | { kind: "do"; job: HeadJob } | { kind: "close" };

/** From the thread. */
export type LaneReply =
  /** Or rows written. */
  | { kind: "steps"; made: number; dropped: number }
  | { kind: "done"; result: HeadJobResult }
  | { kind: "failed"; code?: ErrorCode; message: string };
