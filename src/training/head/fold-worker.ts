import { parentPort, workerData } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { MinedNegatives } from "../miners/hard-negative-miner.js";
import type { FoldReply, FoldRequest, FoldWorkerStart } from "./fold-messages.js";
import { setUpFolds, trainFold } from "./fold-training.js";
import { openHeadContext } from "./head-context.js";

/*
 * A thread that trains the heads of folds, one after the other: see `FoldPool`. It reads the task again for itself, and ends by itself when
 * it is asked to: ending it from outside in the middle of a run would take the process along.
 */

const port = parentPort;
if (port === null) throw new AttuneError("internal", "fold-worker is started by FoldPool only.");
const { task, mined } = workerData as FoldWorkerStart;
const cancelled = new AbortController();

function send(reply: FoldReply): void {
  port?.postMessage(reply);
}

async function open() {
  const miner = mined === undefined ? undefined : new MinedNegatives(mined);
  const context = await openHeadContext(task, { signal: cancelled.signal }, miner);
  return { context, setup: setUpFolds(context) };
}

const opened = open();
// Whoever trains is told.
opened.catch(() => {});

async function train(recipe: number, fold: number): Promise<void> {
  try {
    const { context, setup } = await opened;
    const meter = {
      advance: (made: number) => send({ kind: "steps", made, dropped: 0 }),
      drop: (dropped: number) => send({ kind: "steps", made: 0, dropped }),
    };
    const head = await trainFold({ ...context, meter }, setup, recipe, fold);
    send({ kind: "trained", head });
  } catch (error) {
    const code = error instanceof AttuneError ? error.code : undefined;
    send({ kind: "failed", ...(code && { code }), message: error instanceof Error ? error.message : String(error) });
  }
}

async function close(): Promise<void> {
  await opened.then(({ context }) => context.close()).catch(() => {});
  port?.close();
}

let queue = Promise.resolve();
port.on("message", (request: FoldRequest) => {
  if (request.kind === "cancel") cancelled.abort();
  else queue = queue.then(() => (request.kind === "train" ? train(request.recipe, request.fold) : close()));
});
