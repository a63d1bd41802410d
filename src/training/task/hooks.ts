import type { FineTunePlan, FineTuneProgress } from "./fine-tune-task.js";

/** How a fine-tune speaks with whoever runs it. */
export interface FineTuneHooks {
  onProgress?: (progress: FineTuneProgress) => void;
  /** Called once, before the first step. */
  onPlan?: (plan: FineTunePlan) => void;
  /** Told, in one sentence each, what else is worth knowing: a checkpoint that cannot be used. */
  log?: (message: string) => void;
  /** Aborting stops the fine-tune between two steps or blocks; it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** ONNX Runtime holds the thread while it runs; after this long, messages and signals get their turn. */
const TURN_MS = 20;

/** A function to await between steps: it throws when the signal was aborted, and lets other work in now and then. */
export function pauseBetweenSteps(signal: AbortSignal | undefined): () => Promise<void> {
  let lastTurn = performance.now();
  return async () => {
    if (performance.now() - lastTurn >= TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      lastTurn = performance.now();
    }
    signal?.throwIfAborted();
  };
}
