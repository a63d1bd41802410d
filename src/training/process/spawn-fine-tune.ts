import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { AttuneError, CATALOGUE, type ErrorCode } from "../../errors/index.js";
import type { FineTunePlan, FineTuneProgress, FineTuneResult } from "../task/fine-tune-task.js";

/** What the child says to its parent. */
export type ChildMessage =
  | { type: "progress"; progress: FineTuneProgress }
  | { type: "plan"; plan: FineTunePlan }
  | { type: "result"; result: FineTuneResult }
  | { type: "failure"; code?: string; message: string }
  | { type: "cancelled" };

/** What the parent says to its child. */
export type ParentMessage = { type: "cancel" };

export interface SpawnOptions {
  onProgress?: (progress: FineTuneProgress) => void;
  /** Called once, before the first step. */
  onPlan?: (plan: FineTunePlan) => void;
  /** Aborting asks the child to stop after the step it is in; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called once with the process id of the child. */
  onSpawn?: (pid: number) => void;
}

const ENTRY = fileURLToPath(new URL("./fine-tune-process.js", import.meta.url));
/** A child that was asked to stop and is still there after this long is killed. */
const STOP_TIMEOUT_MS = 10_000;
const STDERR_KEPT = 4_000;

/**
 * Runs a fine-tune in a child process, so that a job that runs out of memory or crashes leaves the server alive.
 * Resolves, or rejects, only after the child has ended.
 * @param taskFile path of a {@link FineTuneTask} as JSON
 * @throws fine_tune_failed when the child crashes, is killed or runs out of memory
 * @throws any code that `runFineTune` throws; the signal's reason when cancelled
 */
export function spawnFineTune(taskFile: string, options: SpawnOptions = {}): Promise<FineTuneResult> {
  const { signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    // execArgv: flags of the parent (a test runner's, an inspector's) are not meant for the child.
    const child = fork(ENTRY, [taskFile], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let last: ChildMessage | undefined;
    let stderr = "";
    let killTimer: NodeJS.Timeout | undefined;

    const cancel = () => {
      if (child.connected) child.send({ type: "cancel" } satisfies ParentMessage);
      killTimer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    };
    const settle = (code: number | null, exitSignal: NodeJS.Signals | null, startError?: Error) => {
      clearTimeout(killTimer);
      signal?.removeEventListener("abort", cancel);
      if (last?.type === "result" && code === 0) resolve(last.result);
      else if (last?.type === "failure") reject(failureOf(last));
      else if (signal?.aborted) reject(signal.reason);
      else if (last?.type === "cancelled") reject(stoppedByOthers());
      else reject(crashOf(code, exitSignal, stderr, startError));
    };

    child.on("message", (message: ChildMessage) => {
      if (message.type === "progress") options.onProgress?.(message.progress);
      else if (message.type === "plan") options.onPlan?.(message.plan);
      else last = message;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
    });
    child.once("spawn", () => options.onSpawn?.(child.pid ?? -1));
    // Each of them: a message that cannot be sent is one too, and one without a listener would end the server.
    child.on("error", (error) => {
      // Without a process there will be no "close".
      if (child.pid === undefined) settle(null, null, error);
    });
    child.once("close", (code, exitSignal) => settle(code, exitSignal));
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

function failureOf(failure: { code?: string; message: string }): AttuneError {
  const known = failure.code !== undefined && failure.code in CATALOGUE;
  return new AttuneError(known ? (failure.code as ErrorCode) : "fine_tune_failed", failure.message);
}

function stoppedByOthers(): AttuneError {
  return new AttuneError("fine_tune_failed", "The fine-tune process was told to stop (SIGTERM) by another process");
}

function crashOf(code: number | null, exitSignal: NodeJS.Signals | null, stderr: string, cause?: Error): AttuneError {
  const outOfMemory = exitSignal === "SIGKILL" || /out of memory|heap limit|bad_alloc/i.test(stderr);
  const how = cause
    ? `could not start: ${cause.message}`
    : exitSignal
      ? `was ended by signal ${exitSignal}`
      : `ended with exit code ${code}`;
  const why = outOfMemory ? "; this usually means that the machine ran out of memory" : "";
  const said = stderr.trim() === "" ? "" : `. Its last words: ${stderr.trim()}`;
  return new AttuneError("fine_tune_failed", `The fine-tune process ${how}${why}${said}`, { cause });
}
