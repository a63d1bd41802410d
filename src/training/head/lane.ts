import type { HeadJob, HeadJobResult } from "./head-jobs.js";

/** What does jobs one after the other: see `HeadWork`. */
export interface Lane {
  /** Does a job; none is given before the last one has ended. */
  do(job: HeadJob): Promise<HeadJobResult>;
  /** Gives up what is being done, between two runs of the runtime, and waits until that has ended. */
  close(): Promise<void>;
}
