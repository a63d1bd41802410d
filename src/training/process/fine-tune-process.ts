/**
 * Entry of the child process that a fine-tune runs in: `fine-tune-process.js TASK_FILE`, started by `spawnFineTune`. It
 * reports by IPC, stops between two steps when told to or when its parent is gone, and ends by itself when it has said
 * how it went.
 */
import { readFile } from "node:fs/promises";
import { setPriority } from "node:os";
import { AttuneError } from "../../errors/index.js";
import { startLanes } from "../head/thread-lane.js";
import type { FineTuneTask } from "../task/fine-tune-task.js";
import type { FineTuneHooks } from "../task/hooks.js";
import type { ChildMessage, ParentMessage } from "./spawn-fine-tune.js";

const cancelled = new AbortController();
const cancel = () => cancelled.abort();

/** Resolves when the message is handed over, or when there is nobody left to hand it to. */
function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send?.(message, undefined, {}, () => resolve());
  });
}

async function main(taskFile: string): Promise<void> {
  const task = JSON.parse(await readFile(taskFile, "utf8")) as FineTuneTask;
  lowerPriority(task.niceness);
  const lanes = startLanes(task);
  // Only now: the threads load the same meanwhile.
  const { runFineTune } = await import("../run-fine-tune.js");
  const hooks: FineTuneHooks = {
    signal: cancelled.signal,
    log: (message) => console.error(message),
    onPlan: (plan) => void tell({ type: "plan", plan }),
    onProgress: (progress) => void tell({ type: "progress", progress }),
  };
  const result = await runFineTune(task, hooks, lanes);
  await tell({ type: "result", result });
}

function lowerPriority(niceness: number): void {
  try {
    setPriority(niceness);
  } catch {
    // Not allowed to (a negative niceness, a container): the job then runs as it is.
  }
}

async function tellFailure(error: unknown): Promise<void> {
  if (cancelled.signal.aborted) return tell({ type: "cancelled" });
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof AttuneError ? error.code : undefined;
  if (code === undefined) console.error(error);
  process.exitCode = 1;
  return tell(code === undefined ? { type: "failure", message } : { type: "failure", code, message });
}

process.on("message", (message: ParentMessage) => {
  if (message.type === "cancel") cancel();
});
process.on("disconnect", cancel);
// The server decides when its jobs end: a Ctrl-C in its terminal reaches the child too.
process.on("SIGINT", () => {});
process.on("SIGTERM", cancel);

main(process.argv[2] ?? "")
  .catch(tellFailure)
  .finally(() => {
    // Only the channel keeps the process alive now.
    if (process.connected) process.disconnect();
  });
