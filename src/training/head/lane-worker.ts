import { parentPort } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { MinedNegatives } from "../miners/hard-negative-miner.js";
import { type FoldSetup, setUpFolds } from "./fold-setup.js";
import { type HeadContext, openHeadContext } from "./head-context.js";
import { doJob, type HeadJob } from "./head-jobs.js";
import type { LaneReply, LaneRequest, LaneStart } from "./lane-messages.js";

/*
 * A thread that trains and judges heads, one job after the other: see `ThreadLane`. It reads the task again for itself, and ends by itself when
 * it is asked to: ending it from outside in the middle of a run would take the process along.
 */

const port = parentPort;
if (port === null) throw new AttuneError("internal", "lane-worker is started by ThreadLane only.");
const cancelled = new AbortController();

interface Opened {
  context: HeadContext;
  setup: FoldSetup;
}

let opened: Promise<Opened> | undefined;

function send(reply: LaneReply): void {
  port?.postMessage(reply);
}

async function open({ task, mined }: LaneStart): Promise<Opened> {
  const miner = mined === undefined ? undefined : new MinedNegatives(mined);
  const context = await openHeadContext(task, { signal: cancelled.signal }, { mined: miner });
  return { context, setup: setUpFolds(context) };
}

function start(request: LaneStart): void {
  opened = open(request);
  // Whoever asks for a job is told.
  opened.catch(() => {});
}

async function work(job: HeadJob): Promise<void> {
  try {
    if (opened === undefined) throw new AttuneError("internal", "A job came before the task that it belongs to.");
    const { context, setup } = await opened;
    const meter = {
      advance: (made: number) => send({ kind: "steps", made, dropped: 0 }),
      drop: (dropped: number) => send({ kind: "steps", made: 0, dropped }),
    };
    send({ kind: "done", result: await doJob({ ...context, meter }, setup, job) });
  } catch (error) {
    const code = error instanceof AttuneError ? error.code : undefined;
    send({ kind: "failed", ...(code && { code }), message: error instanceof Error ? error.message : String(error) });
  }
}

async function close(): Promise<void> {
  await opened?.then(({ context }) => context.close()).catch(() => {});
  port?.close();
}

let queue = Promise.resolve();
port.on("message", (request: LaneRequest) => {
  if (request.kind === "start") return start(request.start);
  if (request.kind === "close") cancelled.abort();
  queue = queue.then(() => (request.kind === "do" ? work(request.job) : close()));
});
