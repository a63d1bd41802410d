import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { AttuneError } from "../errors/index.js";
import { openSession, type Session } from "./session.js";
import type { Reply, Request, WorkerStart } from "./worker-messages.js";

/*
 * The worker behind `openWorkerSession`: one model, one run after the other. It ends by itself when it is asked to, after the run
 * in progress: ending a worker from outside in the middle of a run aborts the whole process.
 */

const port = parentPort;
if (port === null) throw new AttuneError("internal", "session-worker is started by openWorkerSession only.");

const { model, options, niceness } = workerData as WorkerStart;

function send(reply: Reply, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(reply, [...transfer]);
}

function sendFailure(error: unknown, id?: number): void {
  const code = error instanceof AttuneError ? error.code : "internal";
  send({ kind: "failed", id, code, message: error instanceof Error ? error.message : String(error) });
}

async function answer(session: Session, request: Request & { kind: "run" }): Promise<void> {
  try {
    const tensors = await session.run(request.feeds, request.outputs);
    const buffers = new Set(Object.values(tensors).map((tensor) => tensor.data.buffer as ArrayBuffer));
    send({ kind: "result", id: request.id, tensors }, [...buffers]);
  } catch (error) {
    sendFailure(error, request.id);
  }
}

// On Linux niceness belongs to a thread, and threads started later (the session's) inherit it. Elsewhere it is the process's.
if (niceness !== 0 && process.platform === "linux") setPriority(0, niceness);

try {
  const session = await openSession(model, { ...options, log: (message) => send({ kind: "log", message }) });
  let queue = Promise.resolve();
  port.on("message", (request: Request) => {
    if (request.kind === "run") {
      queue = queue.then(() => answer(session, request));
    } else {
      queue = queue.then(() => session.close()).then(() => port.close());
    }
  });
  send({ kind: "open", provider: session.provider, inputNames: session.inputNames, outputNames: session.outputNames });
} catch (error) {
  sendFailure(error);
}
