import type { Worker } from "node:worker_threads";

/**
 * Lets a thread of ours die of an error, and resolves when it is gone. It dies of a message that it cannot read, so between two
 * native calls: `terminate()` in the middle of one takes the whole process along.
 */
export function killThread(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once("exit", () => resolve());
    worker.postMessage(null);
  });
}
